"""Every file format becomes the picture that it shows; of a DICOM file nothing else is taken."""

import gzip
import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from photographs.formats import SEVERAL_FRAMES, SEVERAL_PAGES, is_picture, orientation_of, turned
from photographs.reading import read_photograph
from running.command import Problem

SCENE = np.zeros((40, 60, 3), np.uint8)
SCENE[:20, :30], SCENE[:20, 30:] = (200, 40, 20), (30, 180, 40)
SCENE[20:, :30], SCENE[20:, 30:] = (20, 60, 220), (240, 240, 230)


def close(read, expected, tolerance=0):
    return read.shape == expected.shape and np.abs(read.astype(int) - expected)[2:18, 2:28].max() <= tolerance


@pytest.mark.parametrize("name", ["a.JPG", "b.jfif", "c.jpe", "d.jp2", "e.ppm.gz", "f.PGM.GZ", "g.dcm",
                                  "h.mpo", "i.heic", "a.b.png"])
def test_names_of_pictures(name):
    assert is_picture(name) and is_picture(f"folder/{name}")


@pytest.mark.parametrize("name", ["a.txt", "b.gz", "c.csv.gz", "png", "d.xlsx", "Thumbs.db"])
def test_names_of_others(name):
    assert not is_picture(name)


@pytest.mark.parametrize("name, how, tolerance", [
    ("a.jp2", {"irreversible": False}, 0), ("a.jfif", {"format": "JPEG", "quality": 98}, 6),
    ("a.avif", {}, 12),
    ("a.jpg", {"format": "MPO", "save_all": True, "quality": 98}, 6)])
def test_other_formats_are_read(tmp_path, name, how, tolerance):
    more = {"append_images": [Image.fromarray(SCENE[::2, ::2])]} if how.get("format") == "MPO" else {}
    Image.fromarray(SCENE).save(tmp_path / name, **how, **more)
    remarks = []
    assert close(read_photograph(tmp_path / name, remarks), SCENE, tolerance) and not remarks


def test_a_packed_picture_under_a_name_in_capitals_is_read(draw, tmp_path):
    path = draw.put(tmp_path / "a.ppm", SCENE)
    (tmp_path / "A.PPM.GZ").write_bytes(gzip.compress(path.read_bytes()))
    assert close(read_photograph(tmp_path / "A.PPM.GZ"), SCENE)


@pytest.mark.parametrize("largest", [0, 1, 2])
def test_of_several_pages_the_largest_is_read_and_it_is_said(tmp_path, largest):
    pages = [Image.fromarray(255 - SCENE[::2, ::2])] * 3
    pages[largest] = Image.fromarray(SCENE)
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    remarks = []
    assert close(read_photograph(tmp_path / "a.tif", remarks), SCENE)
    assert remarks == [(tmp_path / "a.tif", SEVERAL_PAGES)]


def tiff(path, values, planes=False, white_is_zero=False):
    """Writes (H, W[, 3]) uint8 or uint16 as it is: neither Pillow nor OpenCV writes planes or such greys."""
    kind, colours = values.dtype.newbyteorder("<"), values.shape[2:]
    parts = np.moveaxis(values, 2, 0) if planes else [values]
    data, beyond, size = [part.astype(kind).tobytes() for part in parts], b"", len(parts[0].tobytes())
    end = 8 + size * len(parts)
    entries = b""
    for tag, *numbers in ((256, values.shape[1]), (257, values.shape[0]),
                          (258, *[8 * kind.itemsize] * (*colours, 1)[0]), (259, 1),
                          (262, 2 if colours else int(not white_is_zero)),
                          (273, *range(8, end, size)), (277, *(*colours, 1)[:1]), (278, values.shape[0]),
                          (279, *[size] * len(parts)), (284, 1 + planes)):
        content = struct.pack(f"<{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            content, beyond = struct.pack("<I", end + len(beyond)), beyond + content
        entries += struct.pack("<HHI", tag, 4, len(numbers)) + content
    directory = struct.pack("<H", len(entries) // 12) + entries + bytes(4)
    path.write_bytes(b"II*\0" + struct.pack("<I", end + len(beyond)) + b"".join(data) + beyond + directory)
    return path


def test_a_tiff_in_planes_is_read_or_with_more_than_8_bits_refused(tmp_path):
    """Of 16 bits, the upper and the lower half were read as pixels side by side, without a word."""
    assert close(read_photograph(tiff(tmp_path / "a.tif", SCENE, planes=True)), SCENE)
    deep = SCENE.astype(np.uint16) * 257
    assert close(read_photograph(tiff(tmp_path / "b.tif", deep)), SCENE)
    assert close(read_photograph(tiff(tmp_path / "c.tif", deep[..., 0])), SCENE[..., :1].repeat(3, axis=2))
    for name, values in (("d.tif", deep), ("e.tif", deep >> 4)):
        with pytest.raises(Problem, match=f"{name}: .*in planes, which is not read here.*PNG"):
            read_photograph(tiff(tmp_path / name, values, planes=True))


def test_of_a_grey_tiff_in_which_white_is_zero_white_is_read_as_white(tmp_path):
    grey = SCENE[..., 1]
    for values in (255 - grey, 65535 - grey.astype(np.uint16) * 257, 65535 - grey.astype(np.uint16) * 16):
        read = read_photograph(tiff(tmp_path / "a.tif", values, white_is_zero=True))
        assert close(read, grey[..., None].repeat(3, axis=2), 1)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("preview", [np.uint8, np.uint16])
def test_of_a_tiff_that_begins_with_a_small_preview_the_photograph_is_as_bright(tmp_path, bits, preview):
    """Of 12 bits it was read as nearly black: dark everywhere."""
    deep = (SCENE[..., ::-1].astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    pages = [np.ascontiguousarray(deep[::4, ::4]).astype(preview), deep, deep[::2, ::2]]
    assert cv2.imwritemulti(str(tmp_path / "a.tif"), pages)
    assert close(read_photograph(tmp_path / "a.tif"), SCENE, 2)


def test_heic_is_called_what_it_is_with_what_to_do(tmp_path):
    for name, brand in {"a.jpg": b"heic", "b.heic": b"mif1"}.items():
        (tmp_path / name).write_bytes(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + bytes(3000))
        with pytest.raises(Problem, match=f"{name}: is a HEIC picture.*Save it as JPEG or PNG"):
            read_photograph(tmp_path / name)


def test_the_orientation_of_a_file_and_what_it_does(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(SCENE).save(tmp_path / "a.jpg", exif=exif)
    Image.fromarray(SCENE).save(tmp_path / "b.png")
    (tmp_path / "c.png").write_text("none")
    assert [orientation_of(tmp_path / name) for name in ("a.jpg", "b.png", "c.png", "gone")] == [8, 1, 1, 1]
    assert np.array_equal(turned(SCENE, 8), np.rot90(SCENE))


# ---- DICOM -------------------------------------------------------------------------------------------------

def dicom(path, array, syntax="1.2.840.10008.1.2.1", photometric="RGB", bits=8, frames=1, content=None):
    """Writes an ophthalmic photograph with a patient's name in its header."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate

    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, "1.2.840.10008.5.1.4.1.1.77.1.5.1"
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    file = Dataset()
    file.file_meta = meta
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.PatientName, file.PatientID, file.PatientBirthDate = "Secret^Anna", "HB-4711", "19500101"
    file.Modality, file.PhotometricInterpretation = "OP", photometric
    file.Rows, file.Columns = array.shape[:2]
    file.SamplesPerPixel = 3 if array.ndim == 3 else 1
    if array.ndim == 3:
        file.PlanarConfiguration = 0
    file.BitsAllocated, file.BitsStored, file.HighBit = 8 if bits == 8 else 16, bits, bits - 1
    file.PixelRepresentation, file.NumberOfFrames = 0, frames
    file.PixelData = encapsulate([content]) if content else array.tobytes() * frames
    file["PixelData"].VR = "OB"
    file.save_as(path, enforce_file_format=True)
    return path


def packed(kind, **how):
    import io

    content = io.BytesIO()
    Image.fromarray(SCENE).save(content, kind, **how)
    return content.getvalue() + b"\0" * (len(content.getvalue()) % 2)


GREY = SCENE[..., 1]
DICOM = {
    "colour": ({}, SCENE, SCENE, 0),
    "grey": ({"photometric": "MONOCHROME2"}, GREY, GREY, 0),
    "white is zero": ({"photometric": "MONOCHROME1"}, 255 - GREY, GREY, 0),
    "12 bits": ({"photometric": "MONOCHROME2", "bits": 12}, GREY.astype(np.uint16) * 16, GREY, 2),
    "dark, 12 bits": ({"photometric": "MONOCHROME2", "bits": 12}, GREY.astype(np.uint16) * 2, GREY // 8, 1),
    "dark, 16 bits": ({"photometric": "MONOCHROME2", "bits": 16}, GREY.astype(np.uint16) * 64, GREY // 4, 1),
    "dark, in colour": ({"bits": 16}, SCENE.astype(np.uint16) * 16, SCENE // 16, 1),
    "JPEG": ({"syntax": "1.2.840.10008.1.2.4.50", "photometric": "YBR_FULL_422",
              "content": packed("JPEG", quality=98)}, SCENE, SCENE, 6),
    "JPEG 2000": ({"syntax": "1.2.840.10008.1.2.4.90", "photometric": "YBR_RCT",
                   "content": packed("JPEG2000", no_jp2=True, mct=1)}, SCENE, SCENE, 0),
}


@pytest.mark.parametrize("kind", DICOM)
def test_dicom_photographs_are_read(tmp_path, kind):
    how, array, expected, tolerance = DICOM[kind]
    read = read_photograph(dicom(tmp_path / "a.dcm", array, **how))
    assert close(read, expected if expected.ndim == 3 else expected[..., None].repeat(3, axis=2), tolerance)


def test_of_several_frames_the_first_is_read_and_it_is_said(tmp_path):
    remarks = []
    assert close(read_photograph(dicom(tmp_path / "a.dcm", SCENE, frames=3), remarks), SCENE)
    assert remarks == [(tmp_path / "a.dcm", SEVERAL_FRAMES)]


def test_a_dicom_file_that_cannot_be_read_is_named_without_a_word_of_its_header(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    path = dicom(tmp_path / "a.dcm", SCENE)
    whole = path.read_bytes()
    file = pydicom.dcmread(path)
    del file.PixelData
    file.save_as(tmp_path / "report.dcm")
    path.write_bytes(whole[:-3000])
    lossless = "1.2.840.10008.1.2.4.70"
    unknown = dicom(tmp_path / "lossless.dcm", SCENE, lossless, content=packed("JPEG"))
    for bad, word in ((path, "is damaged"), (tmp_path / "report.dcm", "without a picture"),
                      (unknown, "requirements-dicom.txt")):
        with pytest.raises(Problem, match=f"{bad.name}: .*{word}") as problem:
            read_photograph(bad)
        assert not any(word in str(problem.value) for word in ("Secret", "Anna", "HB-4711", "1950"))


# ---- through the commands ----------------------------------------------------------------------------------

def test_eval_reads_dicom_and_pages_says_so_and_lets_nothing_of_the_header_out(
        command, draw, tiny_model, tmp_path):
    rgb, _, _ = draw.eye(4)
    folder, out = tmp_path / "eyes", tmp_path / "out"
    folder.mkdir()
    dicom(folder / "IM0001", rgb)
    pages = [Image.fromarray(rgb[::2, ::2]), Image.fromarray(rgb)]
    pages[0].save(folder / "pages.tif", save_all=True, append_images=pages[1:])
    ended = command("eval", folder, "--out", out, "--model", tiny_model)
    assert ended.code == 0 and ended.err.count(f"pages.tif: {SEVERAL_PAGES}") == 1, ended
    assert (out / "IM0001_mask.png").exists() and (out / "pages_mask.png").exists()
    for path in [path for path in out.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        assert not any(word in content for word in (b"Secret", b"Anna", b"HB-4711", b"19500101")), path


def test_eval_says_of_a_file_that_fails_too_that_another_page_was_read(command, tiny_model, tmp_path):
    """Its largest page is dark: without these words nobody would look at the others."""
    dark, lit = (Image.new("RGB", (side, side), (light,) * 3) for side, light in ((90, 3), (80, 90)))
    for name in ("a.tif", "b.tif"):
        lit.save(tmp_path / name, save_all=True, append_images=[dark])
    for given in ([tmp_path / "a.tif"], [tmp_path]):
        ended = command("eval", *given, "--out", tmp_path / "out", "--model", tiny_model)
        assert ended.code == 2 and "is dark everywhere" in ended.err
        assert ended.err.count(SEVERAL_PAGES) == 1, ended


def test_every_command_of_a_set_refuses_a_mask_that_was_not_turned(command, draw, tiny_model, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 3
    for split, number in (("train", 1), ("train", 2), ("test", 3)):
        rgb, mask, _ = draw.eye(number, 300, 320)
        draw.put(tmp_path / "set" / split / f"images/{number}.jpg", rgb, quality=95, exif=exif)
        draw.put(tmp_path / "set" / split / f"masks/{number}.png", mask)
    for words in (("data", tmp_path / "set"),
                  ("augment", "--data", tmp_path / "set", "--out", tmp_path / "a", "--workers", 1),
                  ("testing", "--data", tmp_path / "set", "--out", tmp_path / "t", "--model", tiny_model)):
        ended = command(*words)
        assert ended.code != 0 and "fits its photograph only if it is turned" in ended.err + ended.out, ended
