"""Damaged, odd and hostile inputs, each with what must happen.

A case of PHOTOGRAPHS, MASKS or FOVS is (maker, outcome): the maker writes a file into a folder and returns
its path; the outcome is a word that the sentence must hold, or a function that the array read must satisfy.
"""

import gzip
import io
import os
import struct
import zlib

import cv2
import numpy as np
from conftest import LINUX, Draw
from PIL import Image

RGB, VESSELS, FOV = Draw.eye(7, 96, 120)
GREY = RGB[..., 1]
DAMAGED, UNREADABLE = "is damaged, or is not a picture", "cannot be read"
TOO_MANY, TOO_SLOW, NOT_NUMBERS = "pixels, more than", "very long", "not numbers"


# ---- makers ------------------------------------------------------------------------------------------------

def holding(name, content):
    """A maker of a file with this name and content (bytes, or a function that returns them)."""
    def make(folder):
        path = folder / name
        path.write_bytes(content() if callable(content) else content)
        return path

    return make


def saved(name, picture, **how):
    """A maker of a file that Pillow writes; `format` in `how` where the name says another."""
    def make(folder):
        (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(folder / name, **how)
        return folder / name

    return make


def by_cv2(name, array):
    def make(folder):
        assert cv2.imwrite(str(folder / name), array)
        return folder / name

    return make


def encoded(kind, picture=RGB, **how):
    content = io.BytesIO()
    Image.fromarray(picture).save(content, kind, **how)
    return content.getvalue()


def cut(kind, share, **how):
    """The first part of a file; what lies behind the picture itself (a trailer) may be missing."""
    content = encoded(kind, **how)
    return holding(f"cut.{kind.lower()}", content[:int(share * len(content))])


def holed(kind, **how):
    content = bytearray(encoded(kind, **how))
    middle = len(content) // 2
    content[middle:middle + 200] = bytes(200)
    return holding(f"holed.{kind.lower()}", bytes(content))


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width, height, bits=8, colour=2, rows=b"", extra=b""):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    content = header + extra + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


def tiff(*entries, tail=b""):
    """A little-endian TIFF with the entries (tag, type, count, value) and bytes behind."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4) + tail


def plain_tiff(width, height, rows, size, compression=1):
    """A grey TIFF that says it has one strip of so many rows and of `size` bytes."""
    return tiff((256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, compression),
                (262, 3, 1, 1), (273, 4, 1, 200), (277, 3, 1, 1), (278, 4, 1, rows), (279, 4, 1, size),
                tail=bytes(500))


def swollen_text(size):
    """A PNG's text of so many zeros, compressed."""
    return b"a\0\0" + zlib.compress(bytes(size), 9)


def many_scans(count):
    """A progressive JPEG whose last scan comes over and over: minutes of work in a small file."""
    content = encoded("JPEG", np.zeros((3000, 4000), np.uint8), progressive=True, quality=30)
    last = content[content.rfind(b"\xff\xda"):-2]
    return content[:-2] + last * count + b"\xff\xd9"


def with_exif(orientation, garbage=False, kind="JPEG"):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(kind, exif=exif, **({"quality": 98, "subsampling": 0} if kind == "JPEG" else {}))
    if garbage:
        for sound, wrong in ((b"MM\0*", b"QQ\7*"), (b"II*\0", b"QQ*\7")):
            content = content.replace(b"Exif\0\0" + sound, b"Exif\0\0" + wrong)
    return content


def animated(kind):
    content = io.BytesIO()
    lossless = {"lossless": True} if kind == "WEBP" else {}
    later = [Image.fromarray(255 - RGB)] * 3
    Image.fromarray(RGB).save(content, kind, save_all=True, append_images=later, **lossless)
    return content.getvalue()


def a_folder(folder):
    (folder / "x.png").mkdir()
    return folder / "x.png"


def a_pipe(folder):
    os.mkfifo(folder / "pipe.png")
    return folder / "pipe.png"


def a_link(name, to):
    def make(folder):
        (folder / name).symlink_to(to)
        return folder / name

    return make


def two_links(folder):
    (folder / "one.png").symlink_to("two.png")
    (folder / "two.png").symlink_to("one.png")
    return folder / "one.png"


def sparse(folder):
    with open(folder / "sparse.png", "wb") as file:
        file.truncate(1 << 40)
    return folder / "sparse.png"


def named(name):
    """A sound photograph under a name of bytes."""
    def make(folder):
        path = folder / os.fsdecode(name)
        path.write_bytes(encoded("PNG"))
        return path

    return make


# ---- outcomes ----------------------------------------------------------------------------------------------

def near(expected, tolerance=0):
    """The photograph is this one, to within `tolerance` on average."""
    if expected.ndim == 2:
        expected = np.repeat(expected[..., None], 3, axis=2)
    return lambda read: (read.shape == expected.shape
                         and np.abs(read.astype(int) - expected).mean() <= tolerance)


def of_size(width, height):
    return lambda read: read.shape == (height, width, 3)


def drawn(read):
    return np.array_equal(read, VESSELS)


def nearly_drawn(read):
    return (read != VESSELS).mean() < 0.02


# ---- photographs -------------------------------------------------------------------------------------------

float_image = GREY.astype(np.float32)
not_a_number, infinite = float_image.copy(), float_image.copy()
not_a_number[3, 4], infinite[3, 4] = np.nan, np.inf

LARGE_WEBP = (b"RIFF" + struct.pack("<I", 50) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4)
              + b"\xfe\x3f\0\xfe\x3f\0VP8L" + struct.pack("<I", 12) + b"\x2f\xff\xff\xff\x0f" + bytes(7))
LARGE_FRAME = b",\0\0\0\0\xff\xff\xff\xff\0\x08\x01\x01\0;"  # of a GIF
NEGATIVE_BMP = b"BM" + struct.pack("<IIIIiiHHIIIIII", 99, 0, 54, 40, -50, -50, 1, 24, *[0] * 6) + bytes(99)

PHOTOGRAPHS = {
    # damaged
    "zero bytes": (holding("a.png", b""), "0 bytes"),
    "one byte": (holding("a.png", b"\x89"), DAMAGED),
    "text": (holding("a.jpg", b"not a picture at all\n" * 50), DAMAGED),
    "HTML of a failed download": (holding("a.png", b"<!DOCTYPE html><html><body>404</body></html>"), DAMAGED),
    "zeros": (holding("a.tif", bytes(100_000)), DAMAGED),
    **{f"{kind} cut at {share:.0%}": (cut(kind, share), DAMAGED)
       for kind in ("JPEG", "PNG", "TIFF", "GIF", "PPM", "BMP", "WEBP") for share in (0.01, 0.1, 0.5, 0.9)},
    "progressive JPEG cut": (cut("JPEG", 0.6, progressive=True), DAMAGED),
    "LZW TIFF cut": (cut("TIFF", 0.6, compression="tiff_lzw"), DAMAGED),
    "deflated TIFF cut": (cut("TIFF", 0.6, compression="tiff_adobe_deflate"), DAMAGED),
    "PNG with a hole": (holed("PNG"), DAMAGED),
    "LZW TIFF with a hole": (holed("TIFF", compression="tiff_lzw"), DAMAGED),
    "packed PPM cut": (holding("a.ppm.gz", gzip.compress(encoded("PPM"))[:2000]), UNREADABLE),
    "packed PPM with a hole": (holding("a.ppm.gz", gzip.compress(encoded("PPM"))[:2000] + bytes(900)),
                               UNREADABLE),
    "not packed": (holding("a.ppm.gz", encoded("PPM")), UNREADABLE),
    # other than their names say
    "PNG called JPEG": (saved("a.jpg", RGB, format="PNG"), near(RGB)),
    "JPEG called TIFF": (saved("a.tif", RGB, format="JPEG", quality=98), near(RGB, 3)),
    "no extension": (saved("a", RGB, format="PNG"), near(RGB)),
    "EPS, which would start a program": (saved("a.png", RGB, format="EPS"), DAMAGED),
    "PDF": (saved("a.png", RGB, format="PDF"), DAMAGED),
    "TGA": (saved("a.png", RGB, format="TGA"), DAMAGED),
    "SVG": (holding("a.png", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
            DAMAGED),
    "DICOM": (holding("a.png", bytes(128) + b"DICM" + bytes(500)), (DAMAGED, "DICOM file without a picture")),
    # sizes
    "1 x 1": (saved("a.png", RGB[:1, :1]), "1 x 1 pixels"),
    "31 x 96": (saved("a.png", RGB[:, :31]), "31 x 96 pixels"),
    "32 x 32": (saved("a.png", RGB[30:62, 40:72]), of_size(32, 32)),
    "1 x 50,000,000": (holding("a.pgm", b"P5 1 50000000 255\n" + bytes(99)), (DAMAGED, "needs 32 x 32")),
    "30000 x 30000 PNG": (holding("a.png", png(30000, 30000, 1, 0, bytes(1000))), TOO_MANY),
    "PPM of nearly 2^32 a side": (holding("a.ppm", b"P6 4294967295 4294967295 255\n" + bytes(99)), TOO_MANY),
    "PPM of more digits than numbers have": (holding("a.ppm", b"P6 " + b"9" * 5000 + b" 1 255\n"), DAMAGED),
    "30000 x 30000 TIFF in one strip": (holding("a.tif", plain_tiff(30000, 30000, 30000, 900_000_000)),
                                        TOO_MANY),
    "TIFF strip larger than its file": (holding("a.tif", plain_tiff(500, 500, 500, 4_000_000_000)), DAMAGED),
    "TIFF with more rows a strip than rows": (holding("a.tif", plain_tiff(500, 500, 2**32 - 1, 300)),
                                              DAMAGED),
    "TIFF, LZW of zeros": (holding("a.tif", plain_tiff(7000, 7000, 7000, 300, compression=5)), DAMAGED),
    "TIFF that points to itself": (holding("a.tif", b"II*\0" + struct.pack("<IHI", 8, 0, 8)), DAMAGED),
    "TIFF with a tag of 4 GB": (holding("a.tif", tiff((256, 4, 2**30, 8), (257, 4, 1, 64))), DAMAGED),
    "16383 x 16383 WebP": (holding("a.webp", LARGE_WEBP), (DAMAGED, TOO_MANY)),
    "65535 x 65535 GIF": (holding("a.gif", b"GIF89a\xff\xff\xff\xff\0\0\0" + LARGE_FRAME), TOO_MANY),
    "GIF frame beyond its screen": (holding("a.gif", b"GIF89a\x40\0\x40\0\0\0\0" + LARGE_FRAME),
                                    (DAMAGED, TOO_MANY)),
    "BMP of negative size": (holding("a.bmp", NEGATIVE_BMP), TOO_MANY),
    "a file of a terabyte": (sparse, "has more than"),
    "packed zeros, a gigabyte": (holding("a.ppm.gz", lambda: gzip.compress(bytes(1 << 20), 9) * 1024),
                                 "has more than"),
    # long to decode
    "JPEG with 400 scans": (holding("a.jpg", lambda: many_scans(400)), TOO_SLOW),
    "PPM in words, 9 million numbers": (holding("a.ppm", b"P3 3000 3000 255\n" + b"1 " * 1000), TOO_SLOW),
    "PGM of few greys, 9 million": (holding("a.pgm", b"P5 3000 3000 7\n" + bytes(9_000_000)), TOO_SLOW),
    # PPM's own ways
    "PPM in words": (holding("a.ppm", b"P3\n# drawn\n40 40 255\n" + b"12 34 56 " * 1600),
                     near(np.full((40, 40, 3), (12, 34, 56)))),
    "PPM of 16 bits": (holding("a.ppm", b"P6 40 40 65535\n" + b"\x20\x01" * 4800),
                       near(np.full((40, 40, 3), 32))),
    "PPM of maximum 0": (holding("a.ppm", b"P6 40 40 0\n" + bytes(4800)), DAMAGED),
    "PPM of maximum 99999": (holding("a.ppm", b"P6 40 40 99999\n" + bytes(9600)), DAMAGED),
    "PPM of negative width": (holding("a.ppm", b"P6 -40 40 255\n" + bytes(4800)), DAMAGED),
    "PFM full of NaN": (holding("a.pgm", b"Pf 40 40 -1.0\n" + struct.pack("<f", np.nan) * 1600), NOT_NUMBERS),
    # depths and colours
    "16-bit RGB PNG": (by_cv2("a.png", RGB[..., ::-1].astype(np.uint16) * 257), near(RGB)),
    "16-bit RGB TIFF": (by_cv2("a.tif", RGB[..., ::-1].astype(np.uint16) * 257), near(RGB)),
    "16-bit grey PNG": (by_cv2("a.png", GREY.astype(np.uint16) * 257), near(GREY)),
    "16-bit RGBA PNG": (by_cv2("a.png", np.dstack([RGB[..., ::-1], GREY]).astype(np.uint16) * 257),
                        near(RGB)),
    "32-bit grey TIFF": (saved("a.tif", GREY.astype(np.int32) * 257), near(GREY, 1)),
    "32-bit grey TIFF above 16 bits": (saved("a.tif", GREY.astype(np.int32) * 70000), "above 65535"),
    "float TIFF 0 to 1": (saved("a.tif", float_image / 255), near(GREY, 1)),
    "float TIFF 0 to 255": (saved("a.tif", float_image), near(GREY)),
    "float TIFF with a NaN": (saved("a.tif", not_a_number), NOT_NUMBERS),
    "float TIFF with an infinity": (saved("a.tif", infinite), NOT_NUMBERS),
    "float TIFF with negative values": (saved("a.tif", float_image - 9), "negative"),
    "float TIFF of 1e30": (saved("a.tif", float_image * 1e30), "above 65535"),
    "float RGB TIFF": (by_cv2("a.tif", RGB.astype(np.float32)), DAMAGED),
    "64-bit float TIFF": (by_cv2("a.tif", GREY.astype(np.float64)), DAMAGED),
    "CMYK JPEG": (saved("a.jpg", Image.fromarray(RGB).convert("CMYK"), quality=98), near(RGB, 3)),
    "CMYK TIFF": (saved("a.tif", Image.fromarray(RGB).convert("CMYK")), near(RGB, 1)),
    "CIELAB TIFF": (saved("a.tif", Image.merge("LAB", [Image.fromarray(GREY)] * 3)), of_size(120, 96)),
    "grey": (saved("a.png", GREY), near(GREY)),
    "grey with alpha": (saved("a.png", Image.fromarray(GREY).convert("LA")), near(GREY)),
    "alpha": (saved("a.png", np.dstack([RGB, GREY])), near(RGB)),
    "alpha, transparent everywhere": (saved("a.png", np.dstack([RGB, GREY * 0])), near(RGB)),
    "palette": (saved("a.png", Image.fromarray(RGB).quantize(256)), near(RGB, 4)),
    "palette with alpha": (saved("a.png", Image.fromarray(RGB).quantize(200), transparency=bytes(range(200))),
                           near(RGB, 4)),
    "palette that is too short": (
        holding("a.png", png(40, 40, 8, 3, (b"\0" + b"\xc8" * 40) * 40, chunk(b"PLTE", bytes(6)))),
        (of_size(40, 40), DAMAGED)),
    "1-bit": (saved("a.png", GREY > 50), "black and white throughout"),
    # more than one picture
    "animated GIF": (holding("a.gif", lambda: animated("GIF")), near(RGB, 9)),
    "animated PNG": (holding("a.png", lambda: animated("PNG")), near(RGB)),
    "animated WebP": (holding("a.webp", lambda: animated("WEBP")), near(RGB)),
    "TIFF of four pages": (holding("a.tif", lambda: animated("TIFF")), near(RGB)),
    # what travels along
    **{f"JPEG turned by EXIF {k}": (holding("a.jpg", with_exif(k)), near(turned, 3)) for k, turned in {
        3: RGB[::-1, ::-1], 5: RGB.transpose(1, 0, 2), 6: np.rot90(RGB, -1), 8: np.rot90(RGB)}.items()},
    **{f"{kind} turned by EXIF 6": (holding("a.png", with_exif(6, kind=kind)), near(np.rot90(RGB, -1)))
       for kind in ("TIFF", "PNG")},
    "EXIF orientation 77": (holding("a.jpg", with_exif(77)), near(RGB, 3)),
    "EXIF that is garbage": (holding("a.jpg", with_exif(6, garbage=True)), near(RGB, 3)),
    "ICC profile that is garbage": (saved("a.jpg", RGB, quality=98, icc_profile=os.urandom(3000)),
                                    near(RGB, 3)),
    "PNG with a packed text of a gigabyte": (
        holding("a.png", lambda: png(40, 40, 8, 0, bytes(1640), chunk(b"zTXt", swollen_text(1 << 28)))),
        (of_size(40, 40), DAMAGED)),
    "PNG with bytes behind its end": (holding("a.png", encoded("PNG") + b"<?php system('x') ?>"), near(RGB)),
    # what is not a file, and names
    "folder": (a_folder, UNREADABLE),
    "missing": (lambda folder: folder / "gone.png", UNREADABLE),
    "pipe": (a_pipe, UNREADABLE),
    "link to an endless device": (a_link("zero.png", "/dev/zero"), UNREADABLE),
    "link to itself": (a_link("loop.png", "loop.png"), UNREADABLE),
    "links in a circle": (two_links, UNREADABLE),
    "link to nothing": (a_link("dangling.png", "gone.png"), UNREADABLE),
    "link to a photograph": (lambda folder: a_link("link.png", named(b"real.png")(folder))(folder),
                             near(RGB)),
    "name with spaces and quotes": (named(b""" a 'b' "c" .png"""), near(RGB)),
    "name with a newline": (named(b"two\nlines.png"), near(RGB)),
    "name in Unicode": (named("眼底 œil 👁.png".encode()), near(RGB)),
    "name of bytes that are not UTF-8": (named(b"retine_\xe9\xff.png"), near(RGB)),
    "name with markup": (named(b"<script>alert(1)<&.png"), near(RGB)),
    "name that starts with a dash": (named(b"--out.png"), near(RGB)),
}
OF_LINUX = ("a file of a terabyte", "pipe", "link to an endless device", "link to itself",
            "links in a circle", "link to nothing", "link to a photograph",
            "name with spaces and quotes", "name with markup", "name with a newline",
            "name of bytes that are not UTF-8")  # other systems know no such files
if not LINUX:
    PHOTOGRAPHS = {case: row for case, row in PHOTOGRAPHS.items() if case not in OF_LINUX}


# ---- masks -------------------------------------------------------------------------------------------------

LIT, RIGHT = np.where(VESSELS, 255, 0).astype(np.uint8), np.arange(120) > 60
MASKS = {
    "0 and 255": (saved("m.png", LIT), drawn),
    "0 and 1": (saved("m.png", VESSELS.astype(np.uint8)), drawn),
    "1-bit": (saved("m.png", VESSELS), drawn),
    "1-bit TIFF, group 4": (saved("m.tif", VESSELS, compression="group4"), drawn),
    "three levels": (saved("m.png", np.maximum(LIT, np.roll(VESSELS, 5, 0) * np.uint8(100))),
                     lambda read: np.array_equal(read, VESSELS | np.roll(VESSELS, 5, 0))),
    "16-bit": (by_cv2("m.png", VESSELS.astype(np.uint16) * 65535), drawn),
    "16-bit 0 and 1": (by_cv2("m.png", VESSELS.astype(np.uint16)), drawn),
    "16-bit, soft, dark": (by_cv2("m.png", np.where(VESSELS, 300, 100).astype(np.uint16)), drawn),
    "32-bit": (saved("m.tif", VESSELS.astype(np.int32)), drawn),
    "float": (saved("m.tif", VESSELS.astype(np.float32)), drawn),
    "float with a NaN": (saved("m.tif", not_a_number), NOT_NUMBERS),
    "one colour": (saved("m.png", VESSELS[..., None] * np.uint8([0, 0, 180])), drawn),
    "arteries red, veins blue": (saved("m.png", np.dstack([LIT * RIGHT, LIT * 0, LIT * ~RIGHT])), drawn),
    "palette": (saved("m.png", Image.fromarray(LIT).quantize(2)), drawn),
    "alpha": (saved("m.png", np.dstack([LIT, LIT, LIT, LIT])), drawn),
    "grey and alpha": (saved("m.png", Image.fromarray(LIT).convert("LA")), drawn),
    "JPEG": (saved("m.jpg", LIT, quality=90), nearly_drawn),
    "GIF of 3 and 253": (saved("m.gif", np.where(VESSELS, 253, 3).astype(np.uint8)), drawn),
    "inverted": (saved("m.png", ~VESSELS), "white on black"),
    "all white": (saved("m.png", VESSELS | True), "white on black"),
    "all black": (saved("m.png", VESSELS & False), "black everywhere"),
    "of another size": (saved("m.png", LIT[:, :-1]), "its photograph 120 x 96"),
    "turned": (saved("m.png", LIT.T), "its photograph 120 x 96"),
    "30000 x 30000": (holding("m.png", png(30000, 30000, 1, 0, bytes(1000))), TOO_MANY),
    "1 x 1": (saved("m.png", LIT[:1, :1]), "its photograph 120 x 96"),
    "cut": (holding("m.gif", encoded("GIF", LIT)[:300]), DAMAGED),
    "zero bytes": (holding("m.png", b""), "0 bytes"),
    "text": (holding("m.png", b"vessels\n" * 99), DAMAGED),
    "folder": (a_folder, UNREADABLE),
}

FOVS = {
    "0 and 255": (saved("f.gif", FOV), lambda read: np.array_equal(read, FOV)),
    "all white": (saved("f.png", FOV | True), lambda read: read.all()),
    "soft JPEG": (saved("f.jpg", FOV * np.uint8(255)), lambda read: (read != FOV).mean() < 0.02),
    "empty": (saved("f.png", FOV & False), "is empty"),
    "one pixel": (saved("f.png", (np.arange(FOV.size) == 5000).reshape(FOV.shape)), "nearly so"),
    "inverted": (saved("f.png", ~FOV), "Invert it"),
    "of another size": (saved("f.png", FOV[1:]), "its photograph 120 x 96"),
    "cut": (holding("f.gif", encoded("GIF", FOV.astype(np.uint8))[:100]), DAMAGED),
    "text": (holding("f.png", b"white\n"), DAMAGED),
}
