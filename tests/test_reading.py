"""Every format is read as what it shows, and what is not a sound picture is named with its file."""

import gzip
import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from photographs.formats import SEVERAL_FRAMES, SEVERAL_PAGES
from photographs.reading import CLASSES, FAINT, read_mask, read_photograph, read_vessels, rgb_from, summed_up
from running.command import Problem

SCENE = np.zeros((40, 60, 3), np.uint8)
SCENE[:20, :30], SCENE[:20, 30:] = (200, 40, 20), (30, 180, 40)
SCENE[20:, :30], SCENE[20:, 30:] = (20, 60, 220), (240, 240, 230)


def kept(path, picture, **how):
    """What is read of a picture that Pillow wrote."""
    picture.save(path, **how)
    return read_photograph(path)


def close(read, expected, tolerance=0):
    return (read.dtype == np.uint8 and read.shape == expected.shape
            and np.abs(read.astype(int) - expected).max() <= tolerance)


# ---- photographs -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.tif", "a.TIFF", "a.bmp", "a.ppm", "a.Ppm"])
def test_formats_without_loss_come_back_as_they_were(tmp_path, name):
    assert close(kept(tmp_path / name, Image.fromarray(SCENE)), SCENE)


@pytest.mark.parametrize("name, how", [("a.jpg", {"quality": 98}), ("a.JPEG", {"quality": 98}),
                                       ("a.webp", {"lossless": True}), ("a.gif", {})])
def test_formats_with_loss_come_back_nearly_as_they_were(tmp_path, name, how):
    read = kept(tmp_path / name, Image.fromarray(SCENE), **how)
    assert np.abs(read.astype(int) - SCENE)[4:16, 4:26].max() < 8 and read.shape == SCENE.shape


def test_a_packed_ppm_is_read(draw, tmp_path):
    assert close(read_photograph(draw.put(tmp_path / "a.ppm.gz", SCENE)), SCENE)


def test_bytes_are_read_as_the_file_that_they_are_of_and_named_after_it(draw, tmp_path):
    path = draw.put(tmp_path / "a.png", SCENE)
    assert close(rgb_from(path.read_bytes(), "s3://eyes/a.png"), SCENE)
    with pytest.raises(Problem, match="^s3://eyes/a.png: is damaged"):
        rgb_from(path.read_bytes()[:90], "s3://eyes/a.png")


TURNED = {1: SCENE, 2: SCENE[:, ::-1], 3: SCENE[::-1, ::-1], 4: SCENE[::-1], 5: SCENE.transpose(1, 0, 2),
          6: np.rot90(SCENE, -1), 7: np.rot90(SCENE, 2).transpose(1, 0, 2), 8: np.rot90(SCENE)}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_a_photograph_is_turned_as_its_exif_says(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    how = {"quality": 98, "subsampling": 0} if name.endswith("jpg") else {}
    read, expected = kept(tmp_path / name, Image.fromarray(SCENE), exif=exif, **how), TURNED[orientation]
    assert read.shape == expected.shape
    assert np.mean(np.abs(read.astype(int) - expected)) < 3


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    deep = SCENE.astype(np.uint16) * 256 + 77
    cv2.imwrite(str(tmp_path / "a.png"), deep[..., ::-1])
    cv2.imwrite(str(tmp_path / "a.tif"), deep[..., ::-1])
    assert close(read_photograph(tmp_path / "a.png"), SCENE, 1)
    assert close(read_photograph(tmp_path / "a.tif"), SCENE, 1)
    read = kept(tmp_path / "grey.png", Image.fromarray(deep[..., 0]))
    assert close(read, SCENE[..., :1].repeat(3, axis=2), 1)


@pytest.mark.parametrize("full", [1, 255])
def test_a_float_tiff_may_be_in_unit_range_or_in_255(tmp_path, full):
    grey = SCENE[..., 0]
    read = kept(tmp_path / "a.tif", Image.fromarray(grey.astype(np.float32) / 255 * full))
    assert close(read, grey[..., None].repeat(3, axis=2), 1)


def test_cmyk_palette_grey_and_alpha_become_rgb(tmp_path):
    assert close(kept(tmp_path / "cmyk.tif", Image.fromarray(SCENE).convert("CMYK")), SCENE, 2)
    assert close(kept(tmp_path / "palette.png", Image.fromarray(SCENE).quantize(16)), SCENE, 4)
    grey = SCENE[..., 1:2].repeat(3, axis=2)
    assert close(kept(tmp_path / "grey.png", Image.fromarray(SCENE[..., 1])), grey)
    clear = Image.fromarray(np.dstack([SCENE, np.full((40, 60), 128, np.uint8)]))
    assert close(kept(tmp_path / "alpha.png", clear), SCENE)


def test_of_an_animated_gif_the_first_picture_counts(tmp_path):
    first, second = Image.fromarray(SCENE[..., 0]), Image.fromarray(255 - SCENE[..., 0])
    read = kept(tmp_path / "a.gif", first, save_all=True, append_images=[second])
    assert close(read, SCENE[..., :1].repeat(3, axis=2), 2)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_of_several_frames_it_is_said_that_the_first_is_read(tmp_path, name):
    frames, remarks = [Image.fromarray(SCENE), Image.fromarray(255 - SCENE)], []
    for also in ([], frames[1:]):
        frames[0].save(tmp_path / name, save_all=True, append_images=also)
        read_photograph(tmp_path / name, remarks)
    assert remarks == [(tmp_path / name, SEVERAL_FRAMES)]


# ---- what is not a photograph ------------------------------------------------------------------------------

def packed(ending):
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, format=ending)
    return content.getvalue()


@pytest.mark.parametrize("ending", ["JPEG", "PNG", "TIFF", "BMP", "PPM", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_a_cut_file_is_named_and_never_half_read(tmp_path, ending, share):
    content, path = packed(ending), tmp_path / f"cut.{ending.lower()}"
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(Problem, match=f"cut.{ending.lower()}: is damaged, or is not a picture"):
        read_photograph(path)


@pytest.mark.parametrize("name, content, word", [
    ("a.png", b"this is text\n" * 20, "not a picture"), ("a.png", b"", "0 bytes"),
    ("a.jpg", b"\xff\xd8\xff", "not a picture"), ("a.ppm.gz", b"not packed", "cannot be read"),
    ("a.ppm.gz", gzip.compress(bytes(9000))[:20], "cannot be read"),
    ("a.ppm.gz", gzip.compress(b"")[:10] + b"\xff" * 50, "cannot be read")])
def test_what_is_not_a_picture_is_named(tmp_path, name, content, word):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Problem, match=f"{name}: .*{word}"):
        read_photograph(tmp_path / name)


def test_a_photograph_is_not_a_mask_nor_a_mask_a_photograph(draw, tmp_path):
    rgb, mask, _ = draw.eye(3, 300, 310)
    drawn_on_it = np.where(mask[..., None], np.uint8([0, 255, 0]), rgb)
    for picture in (rgb, drawn_on_it, rgb[..., 1]):
        draw.put(tmp_path / "m.png", picture)
        with pytest.raises(Problem, match="m.png: is a photograph, or drawn on one|more than half of it"):
            read_vessels(tmp_path / "m.png", rgb.shape)
    for picture in (mask, np.where(mask[..., None], np.uint8([255, 0, 0]), np.uint8(0))):
        draw.put(tmp_path / "p.png", picture)
        with pytest.raises(Problem, match="p.png: is black and white throughout"):
            read_photograph(tmp_path / "p.png")


def test_a_mask_may_be_of_vessels_that_fill_much_of_a_close_picture(draw, tmp_path):
    mask = np.indices((300, 310))[0] % 100 < 40
    draw.put(tmp_path / "m.png", mask)
    assert (read_vessels(tmp_path / "m.png", mask.shape) == mask).all()


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_pieces_of_vessels_that_are_numbered_are_all_read(kind, draw, tmp_path):
    """Those with a number below half of the largest were lost, without a word."""
    mask, remarks = draw.eye(3, 300, 310)[1], []
    rows, columns = np.indices(mask.shape) // 60
    numbers = (5 * rows + columns + 1) * mask * (1 if kind == np.uint8 else 500)
    draw.put(tmp_path / "m.png", numbers.astype(kind)) if kind == np.uint8 else \
        Image.fromarray(numbers.astype(kind)).save(tmp_path / "m.png")
    assert np.array_equal(read_vessels(tmp_path / "m.png", mask.shape, remarks=remarks), mask) and remarks


def test_of_what_cannot_be_opened_it_is_said_what_it_is_and_what_to_do(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "gone/eye.png")
    with pytest.raises(Problem, match=r"It is a link to .*gone/eye.png, which is not there. Put that back"):
        read_photograph(tmp_path / "link.png")
    with pytest.raises(Problem, match=r"gone.png: cannot be read \(No such file.*\). Give a photograph that"):
        read_photograph(tmp_path / "gone.png")


def test_a_missing_file_and_a_folder_with_a_pictures_name_are_named(tmp_path):
    (tmp_path / "folder.png").mkdir()
    for name in ("folder.png", "gone.png"):
        with pytest.raises(Problem, match=f"{name}: cannot be read"):
            read_photograph(tmp_path / name)


def test_a_tiny_photograph_and_a_gigantic_one_are_refused_without_decoding(tmp_path):
    with pytest.raises(Problem, match="31 x 40 pixels"):
        kept(tmp_path / "a.png", Image.fromarray(SCENE[:, :31]))
    (tmp_path / "b.ppm").write_bytes(b"P6 30000 30000 255\n")
    with pytest.raises(Problem, match="30000 x 30000 pixels, more than"):
        read_photograph(tmp_path / "b.ppm")


@pytest.mark.parametrize("bad, word", [(np.nan, "not numbers"), (np.inf, "not numbers"), (-1, "negative")])
def test_values_that_are_not_numbers_or_negative_are_refused(tmp_path, bad, word):
    values = np.ones((40, 40), np.float32)
    values[3, 3] = bad
    with pytest.raises(Problem, match=f"a.tif: holds values that are {word}"):
        kept(tmp_path / "a.tif", Image.fromarray(values))


# ---- masks -------------------------------------------------------------------------------------------------

MASK = np.zeros((50, 70), bool)
MASK[10:30, 20:24], MASK[28:32, 20:60] = True, True
SOFT = cv2.GaussianBlur(MASK.astype(np.float32), (3, 3), 0)


def palette(mask):
    picture = Image.fromarray(mask.astype(np.uint8) * 7).convert("P")
    colours = [0, 0, 0] * 256
    colours[21:24] = [250, 250, 250]
    picture.putpalette(colours)
    return picture


MASKS = {
    "1-bit": Image.fromarray(MASK),
    "0 and 1": Image.fromarray(MASK.astype(np.uint8)),
    "0 and 255": Image.fromarray(MASK * np.uint8(255)),
    "palette": palette(MASK),
    "one colour": Image.fromarray(MASK[..., None] * np.uint8([0, 0, 200])),
    "anti-aliased": Image.fromarray((255 * SOFT).astype(np.uint8)),
    "3 and 253": Image.fromarray(np.where(MASK, 253, 3).astype(np.uint8)),
    "16-bit": Image.fromarray(MASK * np.uint16(65535)),
    "16-bit 0 and 1": Image.fromarray(MASK.astype(np.uint16)),
    "alpha": Image.fromarray(np.dstack([MASK * np.uint8(255)] * 3 + [np.full(MASK.shape, 255, np.uint8)])),
    "float": Image.fromarray(MASK.astype(np.float32)),
}


@pytest.mark.parametrize("kind", MASKS)
def test_every_kind_of_mask_is_cut_at_half_of_its_own_maximum(tmp_path, kind):
    path = tmp_path / ("mask.tif" if kind == "float" else "mask.png")
    MASKS[kind].save(path)
    read = read_mask(path)
    assert read.dtype == bool and np.array_equal(read, MASK)


def test_a_mask_kept_as_jpeg_or_gif_is_cut_at_half(tmp_path):
    for name in ("mask.jpg", "mask.gif"):
        Image.fromarray(MASK * np.uint8(255)).save(tmp_path / name)
        assert np.array_equal(read_mask(tmp_path / name), MASK)


def test_a_mask_of_another_size_is_named_with_both_sizes(tmp_path):
    MASKS["1-bit"].save(tmp_path / "mask.png")
    with pytest.raises(Problem, match="mask.png: is 70 x 50, its photograph 71 x 50"):
        read_mask(tmp_path / "mask.png", (50, 71, 3))


def test_an_inverted_mask_and_an_all_black_one_are_named(tmp_path):
    Image.fromarray(~MASK).save(tmp_path / "inverted.png")
    Image.fromarray(MASK & False).save(tmp_path / "black.png")
    with pytest.raises(Problem, match="inverted.png: .*white on black"):
        read_vessels(tmp_path / "inverted.png", MASK.shape)
    with pytest.raises(Problem, match="black.png: is black everywhere"):
        read_vessels(tmp_path / "black.png", MASK.shape)
    assert not read_vessels(tmp_path / "black.png", MASK.shape, empty_is_fine=True).any()


# ---- masks of classes, colours and inks --------------------------------------------------------------------

LEFT = np.arange(70) < 35
RED, BLUE, GREEN, WHITE = (255, 0, 0), (0, 0, 255), (0, 255, 0), (255, 255, 255)


def painted(*colours, background=(0, 0, 0)):
    """MASK in stripes of colours."""
    stripes = np.array(colours, np.uint8)[np.arange(70) // 8 % len(colours)]
    return Image.fromarray(np.where(MASK[..., None], stripes[None], np.uint8(background)).astype(np.uint8))


def on_a_layer(colour, beneath=(0, 0, 0)):
    rgb = np.where(MASK[..., None], np.uint8(colour), np.uint8(beneath))
    return Image.fromarray(np.dstack([rgb, MASK * np.uint8(255)]).astype(np.uint8))


CLASSED = {
    "0, 1 and 2": Image.fromarray((MASK * np.where(LEFT, 1, 2)).astype(np.uint8)),
    "0, 1, 2 and 3": Image.fromarray((MASK * (1 + np.arange(70) // 8 % 3)).astype(np.uint8)),
    "16-bit 0, 1 and 2": Image.fromarray((MASK * np.where(LEFT, 1, 2)).astype(np.uint16)),
    "100 and 255": Image.fromarray((MASK * np.where(LEFT, 100, 255)).astype(np.uint8)),
    "85, 170 and 255": Image.fromarray((MASK * (85 * (1 + np.arange(70) // 8 % 3))).astype(np.uint8)),
    "a background that is grey in the FOV": Image.fromarray(
        np.where(MASK, 255, np.where(np.arange(70) < 60, 128, 0)).astype(np.uint8)),
    "arteries red, veins blue": painted(RED, BLUE),
    "five colours, as of Fundus-AVSeg": painted(RED, BLUE, GREEN, WHITE),
    "dark red and white": painted((90, 0, 0), WHITE),
    "red and blue on white": painted(RED, BLUE, background=WHITE),
    "red on white": painted(RED, background=WHITE),
    "palette of colours": painted(RED, BLUE, GREEN).quantize(8),
    "black ink on a transparent layer": on_a_layer((0, 0, 0)),
    "black ink on a transparent layer, white beneath": on_a_layer((0, 0, 0), WHITE),
    "red ink on a transparent layer": on_a_layer(RED),
}


@pytest.mark.parametrize("kind", CLASSED)
def test_every_class_colour_or_ink_but_the_background_is_vessel_and_it_is_said(tmp_path, kind):
    """Cut at half of their maximum, masks of classes 0, 1 and 2 lost all of class 1."""
    CLASSED[kind].save(tmp_path / "mask.png")
    remarks = []
    read = read_vessels(tmp_path / "mask.png", MASK.shape, remarks=remarks)
    assert np.array_equal(read, MASK) and remarks == [(tmp_path / "mask.png", CLASSES)]


def test_the_few_levels_of_a_smooth_edge_are_no_classes(tmp_path):
    """A mask that was shrunk by half has five levels; its edges are not vessel."""
    big = np.repeat(np.repeat(MASK, 2, axis=0), 2, axis=1)
    shrunk = cv2.resize(np.roll(big, 1, axis=(0, 1)) * np.uint8(255), (70, 50), interpolation=cv2.INTER_AREA)
    assert 3 <= len(np.unique(shrunk)) <= 8
    Image.fromarray(shrunk).save(tmp_path / "mask.png")
    remarks = []
    read = read_vessels(tmp_path / "mask.png", MASK.shape, remarks=remarks)
    assert np.array_equal(read, shrunk > 127) and not remarks


def test_a_class_that_is_lost_in_a_mask_kept_as_jpeg_is_told(draw, tmp_path):
    """Half of the vessels did not count, without a word: the edges of JPEG have all levels."""
    mask, remarks = draw.eye(3, 300, 310)[1], []
    for name, levels in (("classes.jpg", (85, 255)), ("plain.jpg", (255, 255))):
        draw.put(tmp_path / name, mask * np.where(np.arange(310) < 155, *np.uint8(levels)), quality=90)
        read_vessels(tmp_path / name, mask.shape, remarks=remarks)
    assert remarks == [(tmp_path / "classes.jpg", FAINT)]


def test_of_a_mask_of_several_pages_it_is_said_that_one_is_read(tmp_path):
    pages = [Image.fromarray(MASK & LEFT), Image.fromarray(MASK & ~LEFT)]
    pages[0].save(tmp_path / "mask.tif", save_all=True, append_images=pages[1:])
    remarks = []
    read_vessels(tmp_path / "mask.tif", MASK.shape, remarks=remarks)
    assert remarks == [(tmp_path / "mask.tif", SEVERAL_PAGES)]


def test_white_on_a_transparent_layer_and_a_transparent_surround_are_nothing_to_be_said(tmp_path):
    on_a_layer(WHITE).save(tmp_path / "ink.png")
    surround = np.hypot(*(np.indices(MASK.shape) - np.array([[[25]], [[35]]]))) < 34
    lit = np.dstack([MASK * np.uint8(255)] * 3 + [surround * np.uint8(255)])
    Image.fromarray(lit).save(tmp_path / "surround.png")
    for name in ("ink.png", "surround.png"):
        remarks = []
        assert np.array_equal(read_vessels(tmp_path / name, MASK.shape, remarks=remarks), MASK & surround)
        assert not remarks


def test_a_field_of_view_may_be_painted_on_a_transparent_layer(tmp_path):
    on_a_layer((0, 0, 0)).save(tmp_path / "fov.png")
    assert np.array_equal(read_mask(tmp_path / "fov.png", MASK.shape), MASK)


def test_a_mask_with_its_sides_exchanged_is_told_of_exif(tmp_path):
    MASKS["1-bit"].save(tmp_path / "mask.png")
    with pytest.raises(Problem, match="is 70 x 50, its photograph 50 x 70. Turn it as EXIF turns"):
        read_mask(tmp_path / "mask.png", (70, 50, 3))


def test_remarks_are_summed_up_each_sentence_once():
    assert summed_up([("a.png", "is odd"), ("b.png", "is odd"), ("c.png", "is large")]) == [
        "2 files, a.png for one: each is odd", "c.png: is large"]


# ---- depth and transparency of photographs -----------------------------------------------------------------

@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jp2"])
@pytest.mark.parametrize("grey", [False, True])
def test_fewer_bits_in_sixteen_are_as_bright_as_eight(tmp_path, bits, name, grey):
    """A camera's 12 bits were read as nearly black: dark everywhere."""
    scene = SCENE[..., 1] if grey else SCENE
    deep = (scene.astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
    cv2.imwrite(str(tmp_path / name), deep if grey else deep[..., ::-1])
    assert close(read_photograph(tmp_path / name), scene[..., None].repeat(3, axis=2) if grey else scene, 2)


def test_twelve_bits_of_colour_are_turned_as_exif_says(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), SCENE[..., ::-1].astype(np.uint16) * 16)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = (tmp_path / "a.png").read_bytes()
    block = exif.tobytes()[6:]
    chunk = len(block).to_bytes(4, "big") + b"eXIf" + block + zlib.crc32(b"eXIf" + block).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content[:33] + chunk + content[33:])
    assert close(read_photograph(tmp_path / "a.png"), np.rot90(SCENE, -1), 2)


def test_what_is_transparent_around_a_photograph_is_black(draw, tmp_path):
    """White beneath the transparent surround made the whole picture the field of view."""
    rgb, _, fov = draw.eye(3)
    layers = np.dstack([np.where(fov[..., None], rgb, 255), fov * np.uint8(255)]).astype(np.uint8)
    for name, picture in {"rgba.png": layers, "grey.png": layers[..., [1, 3]], "rgba.webp": layers}.items():
        Image.fromarray(picture).save(tmp_path / name, lossless=True)
        read = read_photograph(tmp_path / name)
        assert not read[~cv2.dilate(fov.astype(np.uint8), np.ones((3, 3))).astype(bool)].any()
        assert np.abs(read[fov].astype(int) - (rgb if "rgba" in name else rgb[..., 1:2])[fov]).mean() < 1
