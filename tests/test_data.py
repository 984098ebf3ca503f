"""What is in a set, how it is read, where its FOV is, the square and the way back, and who is on which side of a split."""

import gzip
import io
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import data
from data import Photograph, Square
from files import Problem


def by_name(photographs):
    return {photograph.name: photograph for photograph in photographs}


def the_set(folder):
    (found,) = data.find_sets([folder])
    return found


# ---- layouts -------------------------------------------------------------------------------------------------------

def names(photographs):
    return sorted(photograph.name for photograph in photographs)


def test_drive_as_handed_out_has_a_test_split_without_vessels(draw, tmp_path):
    found = the_set(draw.drive(tmp_path / "anything"))
    assert found.name == "DRIVE" and not found.problems
    assert names(found.of("training")) == ["21_training", "22_training", "23_training"]
    for photograph in found.of("test"):
        assert photograph.mask is None and photograph.fov.name == photograph.name + "_mask.gif"
    assert any("test" in remark and "no masks" in remark for remark in found.remarks)


def test_drive_with_its_second_observer(draw, tmp_path):
    found = the_set(draw.drive(tmp_path, labelled=True))
    for photograph in found.of("test"):
        assert (photograph.mask.name, photograph.second.name) == (
            f"{photograph.patient}_manual1.gif",
            f"{photograph.patient}_manual2.gif",
        )


def test_chase_has_two_observers_and_left_and_right_are_one_child(draw, tmp_path):
    found = the_set(draw.chase(tmp_path, children=(1, 10, 11, 14)))
    assert names(found.of("training")) == ["Image_01L", "Image_01R", "Image_10L", "Image_10R"]
    assert names(found.of("test")) == ["Image_11L", "Image_11R", "Image_14L", "Image_14R"]
    for photograph in found.photographs:
        assert photograph.mask.name == f"{photograph.name}_1stHO.png" and photograph.second.name == f"{photograph.name}_2ndHO.png"
        assert photograph.patient == photograph.name[6:8]


def test_stare_is_all_test_unless_asked_for_as_training(draw, tmp_path):
    folder = draw.stare(tmp_path / "STARE")
    assert names(data.photographs_of([folder], "test")) == ["im0001", "im0002", "im0077"]
    assert len(data.photographs_of([folder], "training", ["STARE"])) == 3
    with pytest.raises(Problem, match="no photograph of the training split"):
        data.photographs_of([folder], "training")
    photograph = the_set(folder).photographs[0]
    assert (photograph.mask.name, photograph.second.name) == ("im0001.ah.ppm.gz", "im0001.vk.ppm.gz")


def test_a_set_with_an_official_split_is_never_taken_whole(draw, tmp_path):
    folder = draw.chase(tmp_path / "CHASE_DB1")
    with pytest.raises(Problem, match="official split"):
        data.photographs_of([folder], "training", ["CHASE_DB1"])


def test_hrf_is_split_by_number_in_each_group_and_capital_extensions_count(draw, tmp_path):
    found = the_set(draw.hrf(tmp_path))
    assert found.name == "HRF" and not found.problems
    assert names(found.of("training")) == ["01_dr", "01_g", "01_h"]
    assert names(found.of("test")) == ["06_dr", "06_h"]
    assert len({photograph.patient for photograph in found.photographs}) == 5, "01_h and 01_dr are two people"
    assert all(photograph.mask and photograph.fov for photograph in found.photographs)


def test_fives_says_aloud_that_it_knows_no_patients(draw, tmp_path):
    found = the_set(draw.fives(tmp_path))
    assert found.name == "FIVES" and (len(found.of("training")), len(found.of("test"))) == (3, 2)
    assert any("patient" in remark for remark in found.remarks)
    assert len({photograph.patient for photograph in found.photographs}) == 5


def test_a_plain_set_with_splits_and_one_without(draw, tmp_path):
    split, flat = the_set(draw.plain(tmp_path / "a", fovs=True)), the_set(draw.plain(tmp_path / "b", test=None))
    assert (len(split.of("training")), len(split.of("test"))) == (4, 2)
    assert all(photograph.fov.stem == photograph.name for photograph in split.photographs)
    assert len(flat.of("training")) == len(flat.of("test")) == len(flat.photographs) == 4
    assert (split.name, flat.name) == ("a", "b"), "a plain set is called after its folder"


def test_photographs_of_a_known_set_in_the_plain_layout_are_plain_and_none_is_lost(draw, tmp_path):
    """A recognised name alone made it DRIVE, whose masks lie elsewhere: all of them, and the other photographs, were gone."""
    folder = draw.plain(tmp_path / "mine", train=2, test=2)
    for part in ("images", "masks"):
        (folder / "test" / part / "eye2.png").rename(folder / "test" / part / "21_training.png")
    (folder / "test/images/21_training.png").rename(folder / "test/images/21_training.tif")
    found = the_set(folder)
    assert found.name == "mine" and len(found.photographs) == 4 and all(photograph.mask for photograph in found.photographs)


def test_a_picture_beside_the_photographs_that_is_none_of_the_layout_is_told_of(draw, tmp_path):
    folder = draw.drive(tmp_path / "DRIVE")
    draw.put(folder / "training/images/99_other.png", draw.eye(99)[0])
    found = the_set(folder)
    assert found.name == "DRIVE" and len(found.photographs) == 5
    assert any("99_other.png" in remark and "1 picture " in remark for remark in found.remarks)


@pytest.mark.parametrize("suffix", ["_mask", "-mask", "_manual1", "_vessels", "_label", "_1stHO", ""])
def test_masks_of_a_plain_set_may_carry_a_suffix(draw, tmp_path, suffix):
    found = the_set(draw.plain(tmp_path, suffix=suffix))
    assert not found.problems and all(photograph.mask.stem == photograph.name + suffix for photograph in found.photographs)


def test_several_sets_in_one_folder_are_all_found(draw, tmp_path):
    draw.chase(tmp_path / "one")
    draw.plain(tmp_path / "two")
    assert [found.name for found in data.find_sets([tmp_path])] == ["CHASE_DB1", "two"]


# ---- pairing -------------------------------------------------------------------------------------------------------

def test_pairing_is_by_name_even_where_the_order_of_the_masks_is_another(draw, tmp_path):
    folder = draw.plain(tmp_path, train=0, test=None)
    for number, (photograph, mask) in {"9": ("b", "b_mask"), "10": ("a", "a")}.items():
        rgb, drawn, _ = draw.eye(int(number))
        draw.put(folder / "images" / f"{photograph}.png", rgb)
        draw.put(folder / "masks" / f"{mask}.png", drawn)
    draw.put(folder / "images" / "a0.JPG", draw.eye(3)[0])
    draw.put(folder / "masks" / "a0.gif", draw.eye(3)[1])
    found = by_name(the_set(folder).photographs)
    assert {name: photograph.mask.name for name, photograph in found.items()} == {"a": "a.png", "a0": "a0.gif", "b": "b_mask.png"}
    assert np.array_equal(data.read_mask(found["b"].mask), draw.eye(9)[1])


def test_a_photograph_without_its_mask_is_named(draw, tmp_path):
    folder = draw.plain(tmp_path)
    (folder / "train/masks/eye1.png").unlink()
    with pytest.raises(Problem, match="eye1.png: has no mask"):
        data.find_sets([folder])


def test_a_mask_without_its_photograph_is_named(draw, tmp_path):
    folder = draw.chase(tmp_path)
    (folder / "Image_02L.jpg").unlink()
    with pytest.raises(Problem, match="Image_02L_1stHO.png: there is no photograph"):
        data.find_sets([folder])


def test_two_files_that_claim_one_place_are_named(draw, tmp_path):
    folder = draw.plain(tmp_path)
    draw.put(folder / "train/masks/eye1_mask.png", draw.eye(1)[1])
    with pytest.raises(Problem, match="eye1.png and .*eye1_mask.png claim the same place"):
        data.find_sets([folder])


@pytest.mark.parametrize(
    "make, word",
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.mkdir(), "no data set is recognised"),
        (lambda folder: folder.write_text("x"), "no such folder"),
    ],
)
def test_a_folder_that_is_missing_empty_or_a_file_is_named(tmp_path, make, word):
    make(tmp_path / "x")
    with pytest.raises(Problem, match=f"x: .*{word}"):
        data.find_sets([tmp_path / "x"])


def test_without_datasets_the_samples_are_taken(draw, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [folder.name for folder in data.default_folders()] == ["samples"]
    (tmp_path / "datasets").mkdir()
    assert [folder.name for folder in data.default_folders()] == ["samples"]
    draw.chase(tmp_path / "datasets" / "CHASE_DB1")
    assert [folder.name for folder in data.default_folders()] == ["datasets"]


def test_names_for_results_are_never_alike(tmp_path):
    paths = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png", tmp_path / "b" / "x.jpg", tmp_path / "b" / "y.png"]
    assert data.unique_names(paths) == ["a_x", "b_x", "b_x_2", "y"]


@pytest.mark.parametrize("place", ["/x/{}/left.png", "/x/{}/eye/left.png", "/x/eye/{}.png"])
def test_twenty_thousand_photographs_are_named_at_once(place):
    paths = [place.format(k) for k in range(20000)] + ["/y/left.png", "/y/7.png"]
    began = time.monotonic()
    assert len(set(data.unique_names(paths))) == len(paths)
    assert time.monotonic() - began < 5


# ---- splits --------------------------------------------------------------------------------------------------------

def patients_of(photographs):
    return {(photograph.set, photograph.patient) for photograph in photographs}


def test_a_child_is_never_on_both_sides(draw, tmp_path):
    folder = draw.chase(tmp_path, children=(1, 2, 3, 4, 5, 11))
    training, validation = data.split_validation(data.photographs_of([folder], "training"), 0.4, 0)
    assert len(validation) == 4 and len(training) == 6
    assert not patients_of(training) & patients_of(validation)


def test_patients_csv_says_who_is_who(draw, tmp_path):
    folder = draw.plain(tmp_path, train=4)
    (folder / "patients.csv").write_text("name,patient\neye0.png,Ann\neye1,Ann\neye2,Bo\n", encoding="utf-8-sig")
    found = by_name(the_set(folder).photographs)
    assert [found[f"eye{k}"].patient for k in range(4)] == ["Ann", "Ann", "Bo", "eye3"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 9)), min_size=1, max_size=40),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_no_patient_is_ever_on_both_sides_and_nobody_is_lost(people, share, seed):
    everyone = [Photograph(place, f"{k}", "training", f"{patient}", None) for k, (place, patient) in enumerate(people)]
    sizes = {place: len({p.patient for p in everyone if p.set == place}) for place in {p.set for p in everyone}}
    everyone = [photograph for photograph in everyone if sizes[photograph.set] > 1]
    training, validation = data.split_validation(everyone, share, seed)
    assert not patients_of(training) & patients_of(validation)
    assert sorted(training + validation, key=lambda p: int(p.name)) == everyone
    for place in {photograph.set for photograph in everyone}:
        assert place in {photograph.set for photograph in validation}


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.randoms(use_true_random=False))
def test_the_split_is_a_function_of_the_seed_and_not_of_the_order(seed, shuffler):
    everyone = [Photograph("A", f"{k}", "training", f"{k // 2}", None) for k in range(20)]
    shuffled = shuffler.sample(everyone, len(everyone))
    assert data.split_validation(everyone, 0.3, seed) == data.split_validation(shuffled, 0.3, seed)


def test_another_seed_gives_another_split():
    everyone = [Photograph("A", f"{k}", "training", f"{k}", None) for k in range(20)]
    assert len({tuple(names(data.split_validation(everyone, 0.3, seed)[1])) for seed in range(5)}) == 5


def test_seed_0_keeps_the_last_ones_as_published_recipes_do(draw, tmp_path):
    folder = draw.drive(tmp_path, training=range(21, 41), test=())
    training, validation = data.split_validation(data.photographs_of([folder], "training"))
    assert names(validation) == ["37_training", "38_training", "39_training", "40_training"] and len(training) == 16


def test_training_keeps_at_least_one_patient_whatever_the_share():
    everyone = [Photograph("A", f"{k}", "training", f"{k}", None) for k in range(2)]
    training, validation = data.split_validation(everyone, 0.9, 0)
    assert len(training) == len(validation) == 1


def test_a_single_patient_cannot_be_split(draw, tmp_path):
    folder = draw.chase(tmp_path, children=(1, 11))
    with pytest.raises(Problem, match="one patient"):
        data.split_validation(data.photographs_of([folder], "training"))


# ---- the reader of photographs -------------------------------------------------------------------------------------

SCENE = np.zeros((40, 60, 3), np.uint8)
SCENE[:20, :30], SCENE[:20, 30:], SCENE[20:, :30], SCENE[20:, 30:] = (200, 40, 20), (30, 180, 40), (20, 60, 220), (240, 240, 230)


def kept(path, picture, **how):
    picture.save(path, **how)
    return data.read_photograph(path)


def close(read, expected, tolerance=0):
    return read.dtype == np.uint8 and read.shape == expected.shape and np.abs(read.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.tif", "a.TIFF", "a.bmp", "a.ppm", "a.Ppm"])
def test_formats_without_loss_come_back_as_they_were(tmp_path, name):
    assert close(kept(tmp_path / name, Image.fromarray(SCENE)), SCENE)


@pytest.mark.parametrize(
    "name, how",
    [("a.jpg", {"quality": 98}), ("a.JPEG", {"quality": 98}), ("a.webp", {"lossless": True}), ("a.gif", {})],
)
def test_formats_with_loss_come_back_nearly_as_they_were(tmp_path, name, how):
    read = kept(tmp_path / name, Image.fromarray(SCENE), **how)
    assert np.abs(read.astype(int) - SCENE)[4:16, 4:26].max() < 8 and read.shape == SCENE.shape


def test_a_packed_ppm_is_read(draw, tmp_path):
    assert close(data.read_photograph(draw.put(tmp_path / "a.ppm.gz", SCENE)), SCENE)


TURNED = {1: SCENE, 2: SCENE[:, ::-1], 3: SCENE[::-1, ::-1], 4: SCENE[::-1], 5: SCENE.transpose(1, 0, 2),
          6: np.rot90(SCENE, -1), 7: np.rot90(SCENE, 2).transpose(1, 0, 2), 8: np.rot90(SCENE)}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg"])
def test_a_photograph_is_turned_as_its_exif_says(tmp_path, name, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = kept(
        tmp_path / name,
        Image.fromarray(SCENE),
        exif=exif,
        **({"quality": 98, "subsampling": 0} if name.endswith("jpg") else {}),
    )
    expected = TURNED[orientation]
    assert read.shape == expected.shape
    assert np.mean(np.abs(read.astype(int) - expected)) < 3


def test_sixteen_bits_keep_their_upper_eight(tmp_path):
    deep = SCENE.astype(np.uint16) * 256 + 77
    cv2.imwrite(str(tmp_path / "a.png"), deep[..., ::-1])
    cv2.imwrite(str(tmp_path / "a.tif"), deep[..., ::-1])
    assert close(data.read_photograph(tmp_path / "a.png"), SCENE, 1)
    Image.fromarray(deep[..., 0]).save(tmp_path / "grey.png")
    assert close(data.read_photograph(tmp_path / "grey.png"), SCENE[..., :1].repeat(3, axis=2), 1)


def test_a_float_tiff_in_unit_range_and_one_in_255(tmp_path):
    grey = SCENE[..., 0]
    for k, full in enumerate((255, 1)):
        Image.fromarray(grey.astype(np.float32) / full * (1 if full == 255 else 1 / 255)).save(tmp_path / f"{k}.tif")
    for k in range(2):
        read = data.read_photograph(tmp_path / f"{k}.tif")
        assert read.shape == SCENE.shape and read.max() > 200 and np.corrcoef(read[..., 0].ravel(), grey.ravel())[0, 1] > 0.999


def test_cmyk_palette_grey_and_alpha_become_rgb(tmp_path):
    assert close(kept(tmp_path / "cmyk.tif", Image.fromarray(SCENE).convert("CMYK")), SCENE, 2)
    assert close(kept(tmp_path / "palette.png", Image.fromarray(SCENE).quantize(16)), SCENE, 4)
    assert close(kept(tmp_path / "grey.png", Image.fromarray(SCENE[..., 1])), SCENE[..., 1:2].repeat(3, axis=2))
    clear = Image.fromarray(np.dstack([SCENE, np.full((40, 60), 128, np.uint8)]))
    assert close(kept(tmp_path / "alpha.png", clear), SCENE)
    assert close(
        kept(tmp_path / "one_bit.png", Image.fromarray(SCENE[..., 0] > 100)),
        (SCENE[..., :1] > 100).repeat(3, axis=2) * 255,
    )


def test_of_an_animated_gif_the_first_picture_counts(tmp_path):
    first = Image.fromarray(SCENE[..., 0])
    first.save(tmp_path / "a.gif", save_all=True, append_images=[Image.fromarray(255 - SCENE[..., 0])])
    assert close(data.read_photograph(tmp_path / "a.gif"), SCENE[..., :1].repeat(3, axis=2), 2)


def packed(ending, **how):
    content = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, format=ending, **how)
    return content.getvalue()


@pytest.mark.parametrize("ending", ["JPEG", "PNG", "TIFF", "BMP", "PPM", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.95])
def test_a_cut_file_is_named_and_never_half_read(tmp_path, ending, share):
    content, path = packed(ending), tmp_path / f"cut.{ending.lower()}"
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(Problem, match=f"cut.{ending.lower()}: is damaged or no picture"):
        data.read_photograph(path)


@pytest.mark.parametrize("name, content, word", [("a.png", b"this is text\n" * 20, "no picture"), ("a.png", b"", "0 bytes"),
                                                 ("a.ppm.gz", b"not packed", "cannot be read"),
                                                 ("a.ppm.gz", gzip.compress(bytes(9000))[:20], "cannot be read"),
                                                 ("a.ppm.gz", gzip.compress(b"")[:10] + b"\xff" * 50, "cannot be read"),
                                                 ("a.jpg", b"\xff\xd8\xff", "no picture")])
def test_what_is_no_picture_is_named(tmp_path, name, content, word):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Problem, match=f"{name}: .*{word}"):
        data.read_photograph(tmp_path / name)


def test_a_missing_file_and_a_folder_with_a_pictures_name_are_named(tmp_path):
    (tmp_path / "folder.png").mkdir()
    for name in ("folder.png", "gone.png"):
        with pytest.raises(Problem, match=f"{name}: cannot be read"):
            data.read_photograph(tmp_path / name)


def test_a_tiny_photograph_and_a_gigantic_one_are_refused_without_decoding(tmp_path):
    with pytest.raises(Problem, match="31 x 40 pixels"):
        kept(tmp_path / "a.png", Image.fromarray(SCENE[:, :31]))
    (tmp_path / "b.ppm").write_bytes(b"P6 30000 30000 255\n")
    with pytest.raises(Problem, match="30000 x 30000 pixels, more than"):
        data.read_photograph(tmp_path / "b.ppm")


def test_numbers_that_are_none_are_refused(tmp_path):
    values = np.ones((40, 40), np.float32)
    for name, bad in (("nan", np.nan), ("infinite", np.inf), ("negative", -1)):
        values[3, 3] = bad
        Image.fromarray(values).save(tmp_path / f"{name}.tif")
        with pytest.raises(Problem, match=f"{name}.tif: holds"):
            data.read_photograph(tmp_path / f"{name}.tif")


# ---- the reader of masks -------------------------------------------------------------------------------------------

DRAWN = np.zeros((50, 70), bool)
DRAWN[10:30, 20:24], DRAWN[28:32, 20:60] = True, True
SOFT = cv2.GaussianBlur(DRAWN.astype(np.float32), (3, 3), 0)


def palette(mask):
    picture = Image.fromarray(mask.astype(np.uint8) * 7)
    picture = picture.convert("P")
    colours = [0, 0, 0] * 256
    colours[21:24] = [250, 250, 250]
    picture.putpalette(colours)
    return picture


MASKS = {
    "1-bit": Image.fromarray(DRAWN),
    "0 and 1": Image.fromarray(DRAWN.astype(np.uint8)),
    "0 and 255": Image.fromarray(DRAWN * np.uint8(255)),
    "palette": palette(DRAWN),
    "one colour": Image.fromarray(DRAWN[..., None] * np.uint8([0, 0, 200])),
    "anti-aliased": Image.fromarray((255 * SOFT).astype(np.uint8)),
    "3 and 253": Image.fromarray(np.where(DRAWN, 253, 3).astype(np.uint8)),
    "three levels": Image.fromarray(np.where(DRAWN, 255, np.roll(DRAWN, 9, 0) * 100).astype(np.uint8)),
    "16-bit": Image.fromarray(DRAWN * np.uint16(65535)),
    "16-bit 0 and 1": Image.fromarray(DRAWN.astype(np.uint16)),
    "alpha": Image.fromarray(np.dstack([DRAWN * np.uint8(255)] * 3 + [np.full(DRAWN.shape, 255, np.uint8)])),
    "float": Image.fromarray(DRAWN.astype(np.float32)),
}


@pytest.mark.parametrize("kind", MASKS)
def test_every_kind_of_mask_is_cut_at_half_of_its_own_maximum(tmp_path, kind):
    path = tmp_path / ("mask.tif" if kind == "float" else "mask.png")
    MASKS[kind].save(path)
    read = data.read_mask(path)
    assert read.dtype == bool and np.array_equal(read, DRAWN)


def test_a_mask_kept_as_jpeg_or_gif_is_cut_at_half(tmp_path):
    for name in ("mask.jpg", "mask.gif"):
        Image.fromarray(DRAWN * np.uint8(255)).save(tmp_path / name)
        assert np.array_equal(data.read_mask(tmp_path / name), DRAWN)


def test_a_mask_of_another_size_is_named_with_both_sizes(tmp_path):
    MASKS["1-bit"].save(tmp_path / "mask.png")
    with pytest.raises(Problem, match="mask.png: is 70 x 50, its photograph 71 x 50"):
        data.read_mask(tmp_path / "mask.png", (50, 71, 3))


def test_an_inverted_mask_and_an_all_black_one_are_named(tmp_path):
    Image.fromarray(~DRAWN).save(tmp_path / "inverted.png")
    Image.fromarray(DRAWN & False).save(tmp_path / "black.png")
    with pytest.raises(Problem, match="inverted.png: .*white on black"):
        data.read_vessels(tmp_path / "inverted.png", DRAWN.shape)
    with pytest.raises(Problem, match="black.png: is black everywhere"):
        data.read_vessels(tmp_path / "black.png", DRAWN.shape)
    assert not data.read_vessels(tmp_path / "black.png", DRAWN.shape, empty_is_fine=True).any()


def test_probabilities_are_read_with_all_their_bits(tmp_path):
    levels = np.random.default_rng(0).integers(0, 65536, (20, 30)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "p.png"), levels)
    assert np.array_equal(data.read_levels(tmp_path / "p.png"), levels)
    cv2.imwrite(str(tmp_path / "p8.png"), (levels >> 8).astype(np.uint8))
    with pytest.raises(Problem, match="p8.png: is no 16-bit"):
        data.read_levels(tmp_path / "p8.png")


# ---- the field of view ---------------------------------------------------------------------------------------------

def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("seed", range(5))
def test_the_fov_found_is_the_one_drawn(draw, seed):
    photograph, _, fov = draw.eye(seed, 400, 460)
    assert overlap(data.find_fov(photograph), fov) >= 0.98


def test_the_fov_is_found_to_its_dim_edge(draw):
    """Light that falls to a third from the middle to the edge, as in many cameras."""
    photograph, _, fov = draw.eye(2, 400, 460)
    y, x = np.mgrid[:400, :460]
    dimmed = photograph * (1 - 0.65 * ((x - 230) ** 2 + (y - 200) ** 2) / 176**2).clip(0)[..., None]
    assert overlap(data.find_fov(dimmed.astype(np.uint8)), fov) >= 0.98


def test_the_fov_of_the_samples_is_found(draw):
    from samples.draw import drawn

    photograph, _, fov = drawn(3, 0)
    found = data.find_fov(photograph)
    assert overlap(found, fov) >= 0.99
    assert found.sum() < 1.01 * fov.sum(), "a dark rim within it is taken for a vessel"


def test_a_bright_surround_and_a_dark_spot_inside_change_little(draw):
    photograph, _, fov = draw.eye(1, 400, 460)
    spotted = photograph.copy()
    cv2.circle(spotted, (200, 180), 50, (4, 3, 2), -1)
    cv2.rectangle(spotted, (0, 0), (40, 14), (90, 90, 90), -1)  # a label in a corner
    assert overlap(data.find_fov(spotted), fov) >= 0.98
    assert overlap(data.find_fov(np.maximum(photograph, 12)), fov) >= 0.97


def test_a_cropped_fov_is_found_with_its_straight_edges(draw):
    photograph, _, fov = draw.eye(1, 400, 400)
    photograph, fov = photograph[60:340], fov[60:340]
    assert overlap(data.find_fov(photograph), fov) >= 0.98


def test_a_photograph_that_is_lit_everywhere_is_all_fov(draw):
    photograph = draw.eye(0, 300, 300)[0][90:210, 90:210]
    assert data.find_fov(photograph).all()


@pytest.mark.parametrize("value", [0, 3, 10])
def test_a_dark_photograph_has_no_fov_and_is_named(tmp_path, value):
    dark = np.full((60, 70, 3), value, np.uint8)
    assert not data.find_fov(dark).any()
    with pytest.raises(Problem, match="a.png: is dark everywhere"):
        data.fov_of(Photograph("A", "a", "test", "a", tmp_path / "a.png"), dark)


def test_the_sets_own_fov_goes_before_what_could_be_found_and_an_empty_one_is_named(draw, tmp_path):
    photograph, _, fov = draw.eye(1)
    own = fov & (np.arange(fov.shape[1]) < 60)
    eye = Photograph("A", "a", "test", "a", tmp_path / "a.png", fov=draw.put(tmp_path / "fov.png", own))
    assert np.array_equal(data.fov_of(eye, photograph), own)
    draw.put(tmp_path / "fov.png", fov & False)
    with pytest.raises(Problem, match="fov.png: this FOV mask is empty"):
        data.fov_of(eye, photograph)


# ---- the square and the way back -----------------------------------------------------------------------------------

boxes = st.tuples(st.integers(32, 5000), st.integers(32, 4000)).flatmap(lambda size: st.tuples(
    st.just(size), *(st.tuples(st.integers(0, n - 24), st.integers(24, n)).map(lambda ab, n=n: (ab[0], min(n, ab[0] + ab[1])))
                     for n in size)))


def box_of(example):
    (height, width), (top, bottom), (left, right) = example
    fov = np.zeros((height, width), bool)
    fov[top:bottom, left:right] = True
    return fov, top, bottom, left, right


@settings(max_examples=40, deadline=None)
@given(boxes)
def test_the_square_is_the_smallest_centred_one_around_the_box(example):
    fov, top, bottom, left, right = box_of(example)
    square = Square.around(fov)
    assert square.side == max(bottom - top, right - left)
    for start, low, high in ((square.top, top, bottom), (square.left, left, right)):
        assert start <= low and high <= start + square.side
        assert abs((low + high) / 2 - (start + square.side / 2)) <= 0.5, "centred on the box"


@settings(max_examples=15, deadline=None)
@given(boxes, st.tuples(st.floats(0, 1), st.floats(0, 1)), st.sampled_from([512, 512, 448, 96]))
def test_a_drawn_point_comes_back_within_half_a_squares_pixel(example, where, size):
    fov, top, bottom, left, right = box_of(example)
    square = Square.around(fov)
    across = min(max(1, -(-2 * square.side // size)), bottom - top, right - left)  # a dot that two pixels of the square hold
    y, x = (
        round(low + share * (high - low - across))
        for share, low, high in zip(where, (top, left), (bottom, right), strict=True)
    )
    drawn = np.zeros(fov.shape, bool)
    drawn[y:y + across, x:x + across] = True
    cut = square.cut(drawn, fov, size)
    assert cut.shape == (size, size) and cut.dtype == np.uint8
    found = square.back(cut.astype(np.float32) / 255, fov)
    assert found.shape == fov.shape and found.dtype == np.float32
    rows, columns = found.sum(axis=1, dtype=np.float64), found.sum(axis=0, dtype=np.float64)
    middle = rows @ np.arange(len(rows)) / rows.sum(), columns @ np.arange(len(columns)) / columns.sum()
    assert np.abs(np.subtract(middle, (y + (across - 1) / 2, x + (across - 1) / 2))).max() <= 0.5 * max(square.side / size, 1)


@settings(max_examples=15, deadline=None)
@given(boxes)
def test_nothing_comes_back_outside_the_fov_and_everything_inside(example):
    fov, *_ = box_of(example)
    square = Square.around(fov)
    back = square.back(np.full((128, 128), 1.3, np.float32), fov)
    assert np.array_equal(back, fov.astype(np.float32))


@pytest.mark.parametrize("size", [(584, 565), (960, 999), (1168, 1752), (200, 300)])
def test_a_mask_comes_back_from_the_square_nearly_as_it_went(size):
    from samples.draw import draw as sample

    _, mask, fov = sample(np.random.default_rng(1), *size)
    assert round_trip(mask, fov) >= 0.985


def round_trip(mask, fov):
    square = Square.around(fov)
    back = square.back(square.cut(mask, fov).astype(np.float32) / 255, fov) >= 0.5
    mask = mask & fov
    return 2 * (back & mask).sum() / (back.sum() + mask.sum())


def test_the_square_is_black_outside_the_fov_and_soft_at_a_masks_edge(draw):
    photograph, mask, fov = draw.eye(0, 700, 800)
    square = Square.around(fov)
    cut = square.cut(np.maximum(photograph, 9), fov)
    assert cut.shape == (512, 512, 3) and not cut[0, 0].any() and not cut[-1, -1].any()
    assert len(np.unique(square.cut(mask, fov))) > 50


def test_the_aspect_is_kept(draw):
    fov = np.zeros((300, 400), bool)
    cv2.circle(fov.view(np.uint8), (200, 150), 180, 1, -1)  # cut off above and below
    inside = Square.around(fov).cut(fov, fov) > 127
    rows, columns = inside.any(axis=1).sum(), inside.any(axis=0).sum()
    assert columns == 512 and abs(rows / columns - 300 / 361) < 0.01


# ---- real data -----------------------------------------------------------------------------------------------------

def read_all(folder, split):
    for photograph in data.photographs_of([folder], split):
        rgb = data.read_photograph(photograph.path)
        yield photograph, rgb, data.fov_of(photograph, rgb)


def test_drives_pixels_are_as_published_and_its_masks_survive_the_square(shared):
    pixels, vessels, trips, found = 0, 0, [], []
    for photograph, rgb, fov in read_all(shared / "DRIVE", "training"):
        mask = data.read_vessels(photograph.mask, rgb.shape)
        pixels, vessels = pixels + fov.sum(), vessels + (mask & fov).sum()
        trips.append(round_trip(mask, fov))
        found.append(overlap(data.find_fov(rgb), fov))
    assert (pixels, vessels) == (4_541_006, 569_415)
    assert min(trips) >= 0.985
    assert np.mean(found) >= 0.99 and min(found) > 0.98


def test_chases_masks_survive_the_square(shared):
    trips = [
        round_trip(data.read_vessels(photograph.mask, rgb.shape), fov)
        for photograph, rgb, fov in read_all(shared / "CHASE_DB1", "all")
    ]
    assert len(trips) == 28 and np.mean(trips) >= 0.985 and min(trips) >= 0.98


@pytest.mark.slow
def test_the_fovs_of_hrf_are_found(shared):
    found = [overlap(data.find_fov(rgb), fov) for _, rgb, fov in read_all(shared / "HRF", "training")]
    assert len(found) == 15 and np.mean(found) >= 0.98


# ---- the command ---------------------------------------------------------------------------------------------------

def test_the_doctor_says_what_is_there_and_what_is_wrong(command, draw, tmp_path):
    fine, ill = draw.chase(tmp_path / "fine"), draw.plain(tmp_path / "ill")
    ended = command("data", fine)
    assert ended.code == 0 and "CHASE_DB1" in ended.out and "100" in ended.out
    (ill / "train/images/eye0.png").write_text("no picture")
    (ill / "test/masks/eye5.png").unlink()
    ended = command("data", ill)
    assert ended.code == 1, ended
    assert "eye0.png" in ended.out + ended.err and "eye5.png" in ended.out + ended.err


def test_the_doctor_counts_what_is_labelled(command, draw, tmp_path):
    ended = command("data", draw.drive(tmp_path / "D"))
    assert ended.code == 0 and "no masks" in ended.out


def test_the_doctor_refuses_a_missing_folder(refused, tmp_path):
    assert "no such folder" in refused("data", tmp_path / "gone")
