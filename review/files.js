// Masks as files: PNG of 8 bits, and an archive of them that is written without compressing, which PNG has
// done already. Both are so short written out that no library is embedded for them.

const CRC = new Uint32Array(256).map((_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc(content) {
  let sum = 0xffffffff;
  for (let i = 0; i < content.length; i++) sum = CRC[(sum ^ content[i]) & 255] ^ (sum >>> 8);
  return ~sum >>> 0;
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

// Whole numbers of so many bytes, the highest byte first or last.
const highFirst = (value, bytes = 4) =>
  Uint8Array.from({ length: bytes }, (_, k) => value >>> (8 * (bytes - 1 - k)));
const lowFirst = (value, bytes) => highFirst(value, bytes).reverse();
const ascii = text => new TextEncoder().encode(text);

async function deflated(content) {
  const stream = new Blob([content]).stream().pipeThrough(new CompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chunk(kind, content) {
  const named = joined([ascii(kind), content]);
  return joined([highFirst(content.length), named, highFirst(crc(named))]);
}

const WRITER = "tEXtSoftware\0Review of retinal vessels"; // the beginning of every mask says who wrote it

// Grey pixels as a PNG of 8 bits (W3C Recommendation, PNG, third edition).
async function pngOf(pixels, width, height) {
  const rows = new Uint8Array((width + 1) * height); // each row after a 0: it is not filtered
  for (let y = 0; y < height; y++)
    rows.set(pixels.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  return joined([
    [137, 80, 78, 71, 13, 10, 26, 10],
    chunk("IHDR", joined([highFirst(width), highFirst(height), [8, 0, 0, 0, 0]])),
    chunk(WRITER.slice(0, 4), ascii(WRITER.slice(4))),
    chunk("IDAT", await deflated(rows)),
    chunk("IEND", []),
  ]);
}

// Local time, in steps of two seconds, and date, as an archive holds them: two bytes each.
function timeInZip(now) {
  const time = (now.getHours() << 11) | (now.getMinutes() << 5) | (now.getSeconds() >> 1);
  const date = ((now.getFullYear() - 1980) << 9) | ((now.getMonth() + 1) << 5) | now.getDate();
  return joined([lowFirst(time, 2), lowFirst(date, 2)]);
}

// An archive (PKWARE's APPNOTE 6.3, version 1.0 with names in UTF-8) of {path, content}, all of now: a mask of
// another's size and time would be taken for that one.
function zipOf(files) {
  const [bodies, entries, now] = [[], [], timeInZip(new Date())];
  let offset = 0;
  for (const { path, content } of files) {
    const name = ascii(path);
    const about = joined([
      lowFirst(0x0800, 2), // names are UTF-8
      lowFirst(0, 2), // stored
      now,
      lowFirst(crc(content), 4),
      lowFirst(content.length, 4),
      lowFirst(content.length, 4),
      lowFirst(name.length, 2),
      lowFirst(0, 2),
    ]);
    const body = joined([ascii("PK\x03\x04"), lowFirst(10, 2), about, name, content]);
    const versions = [lowFirst(10, 2), lowFirst(10, 2)];
    const nowhere = new Uint8Array(10); // no remark, one disk, no rights
    entries.push(joined([ascii("PK\x01\x02"), ...versions, about, nowhere, lowFirst(offset, 4), name]));
    bodies.push(body);
    offset += body.length;
  }
  const directory = joined(entries);
  const count = lowFirst(files.length, 2);
  const end = [ascii("PK\x05\x06"), new Uint8Array(4), count, count, lowFirst(directory.length, 4)];
  return joined([...bodies, directory, ...end, lowFirst(offset, 4), new Uint8Array(2)]);
}

// ---- where they go

function download(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = make("a", { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

// Writes a mask into a folder that was chosen; it appears whole or not at all, and replaces such a mask alone:
// a photograph may have its name, or an observer's mask.
async function writeInto(folder, path, content) {
  const [name, ...above] = path.split("/").reverse();
  for (const part of above.reverse()) folder = await folder.getDirectoryHandle(part, { create: true });
  const handle = await folder.getFileHandle(name, { create: true });
  const there = await handle.getFile();
  if (there.size && !(await there.slice(0, 99).text()).includes(WRITER))
    throw new Error(
      "a file of this name is there, which this page has not written: delete it if it is a mask that may " +
        "go, such as one that an earlier version saved",
    );
  let file = null;
  try {
    file = await handle.createWritable();
    await file.write(content);
    await file.close();
  } catch (error) {
    await file?.abort().catch(() => {});
    if (!(await handle.getFile()).size) await folder.removeEntry(name); // it has just been made for this
    throw error;
  }
}
