"""Where each public data set comes from, its licence and how to cite it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A public set: where it is offered, its licence in full and in short, its paper, and how to get it.

    `ways`: each is a tuple of addresses whose archives together hold the set, the best way first; without
    any, `by_hand` says what a person does, with {into} for the folder of all sets. `archive`: the address of
    one archive, of which the sum is known and not those of its files, and `photographs`: how many it holds.
    """

    folder: str
    page: str
    licence: str
    in_short: str
    citation: str
    ways: tuple = ()
    by_hand: str = ""
    archive: str = ""
    archive_name: str = ""
    archive_sha256: str = ""
    photographs: int = 0

    def terms(self):
        """Returns its licence and its paper as two lines."""
        return f"Licence: {self.licence}.\nPlease cite: {self.citation}."


CC_BY = "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)"
KINGSTON, ERLANGEN = "kingston.ac.uk", "https://www5.cs.fau.de/fileadmin/research/datasets/fundus-images"
CLEMSON = "cecas.clemson.edu/~ahoover/stare/probing"
HRF_GROUPS = ("healthy", "glaucoma", "diabetic_retinopathy")
SOURCES = {
    "chase_db1": Source(
        "CHASE_DB1",
        f"https://researchinnovation.{KINGSTON}/en/datasets/chasedb1-retinal-vessel-reference-dataset-4/",
        CC_BY, "CC BY 4.0",
        "M. M. Fraz et al., An ensemble classification-based approach applied to retinal blood vessel "
        "segmentation, IEEE Transactions on Biomedical Engineering 59(9):2538-2548, 2012, "
        "doi:10.1109/TBME.2012.2205687",
        ((f"https://researchinnovation.{KINGSTON}/files/40659508/CHASEDB1.zip",),
         (f"https://researchdata.{KINGSTON}/96/1/CHASEDB1.zip",),
         (f"https://staffnet.{KINGSTON}/~ku15565/CHASE_DB1/assets/CHASEDB1.zip",))),
    "hrf": Source(
        "HRF", "https://www5.cs.fau.de/research/data/fundus-images/", CC_BY, "CC BY 4.0",
        "A. Budai, R. Bock, A. Maier, J. Hornegger and G. Michelson, Robust vessel segmentation in fundus "
        "images, International Journal of Biomedical Imaging 2013:154860, doi:10.1155/2013/154860",
        ((f"{ERLANGEN}/all.zip",),
         tuple(f"{ERLANGEN}/{group}{part}.zip"
               for group in HRF_GROUPS for part in ("", "_manualsegm", "_fovmask")))),
    "stare": Source(
        "STARE", f"https://{CLEMSON}/index.html",
        "none stated; offered freely for research", "offered for research, no explicit licence",
        "A. Hoover, V. Kouznetsova and M. Goldbaum, Locating blood vessels in retinal images by piecewise "
        "threshold probing of a matched filter response, IEEE Transactions on Medical Imaging "
        "19(3):203-210, 2000, doi:10.1109/42.845178",
        tuple(tuple(f"{scheme}://{CLEMSON}/{name}.tar" for name in ("stare-images", "labels-ah", "labels-vk"))
              for scheme in ("https", "http"))),
    "drive": Source(
        "DRIVE", "https://drive.grand-challenge.org/",
        "free for research and education to those who got it from this site; it must not be passed on",
        "for research and education, no redistribution of the photographs",
        "J. Staal, M. D. Abramoff, M. Niemeijer, M. A. Viergever and B. van Ginneken, Ridge-based vessel "
        "segmentation in color images of the retina, IEEE Transactions on Medical Imaging 23(4):501-509, "
        "2004, doi:10.1109/TMI.2004.825627",
        by_hand="Its makers give it to registered users only: make an account there, join, and download "
                "training.zip and test.zip. Unpack both, so that there are\n"
                "    {into}/DRIVE/training/images/21_training.tif ... 40, 1st_manual/21_manual1.gif, "
                "mask/21_training_mask.gif\n"
                "    {into}/DRIVE/test/images/01_test.tif ... 20, mask/01_test_mask.gif\n"
                "Today's test.zip has no labels, so only the 20 training photographs can be learned from and "
                "scored on. If you have test/1st_manual and test/2nd_manual from earlier years, put them "
                "there too."),
    "fives": Source(
        "FIVES", "https://doi.org/10.6084/m9.figshare.19688169.v1", CC_BY, "CC BY 4.0",
        "K. Jin et al., FIVES: A fundus image dataset for artificial intelligence based vessel segmentation, "
        "Scientific Data 9:475, 2022, doi:10.1038/s41597-022-01564-3",
        by_hand="It is one RAR archive of about 1.8 GB, and no account is needed. Python cannot unpack RAR; "
                "7-Zip, unar and bsdtar can. Unpack it, so that there are\n"
                "    {into}/FIVES/train/Original/1_A.png ... 600 photographs, train/Ground truth/1_A.png\n"
                "    {into}/FIVES/test/Original/1_A.png ... 200 photographs, test/Ground truth/1_A.png",
        archive="https://ndownloader.figshare.com/files/34969398", archive_name="FIVES.rar",
        archive_sha256="be72f9af286b107bcebcc08a9dae7fc55c3fb0959409b689e14c72f9fdc4ad8e", photographs=800),
    "fundus-avseg": Source(
        "Fundus-AVSeg", "https://doi.org/10.6084/m9.figshare.27938034", CC_BY, "CC BY 4.0",
        "Z. Deng et al., A fundus image dataset for AI-based artery-vein vessel segmentation, "
        "Scientific Data 12, 2025, doi:10.1038/s41597-025-05381-2",
        by_hand="Save Fundus-AVSeg.zip in {into} without unpacking, and give the command again: it unpacks "
                "and checks.",
        archive="https://ndownloader.figshare.com/files/54093641", archive_name="Fundus-AVSeg.zip",
        archive_sha256="6db5ff43c4e9c25aa93093aa295c67b10fa0c089ac650df6665c7a6bbae9539f", photographs=100),
}


def licences_of(names, drawn=True):
    """Returns the licences of the sets that are called so, as a model's card has them.

    drawn: whether a set called samples is the one that this project draws.
    """
    known = {source.folder: source.in_short for source in SOURCES.values()}
    known |= dict.fromkeys(("ARIA", "ORVS", "DR-HAGIS"), "published for research, without a licence text")
    def licence(name):
        """Of DRIVE, and of site1_DRIVE, as it is called beside another one."""
        if name == "samples" and drawn:
            return "made by this project, CC0"
        return next((known[end] for end in known if name == end or name.endswith(f"_{end}")),
                    "as its owner says")

    return "; ".join(f"{name}: {licence(name)}" for name in sorted(names))


def how_to_get(name, into="datasets"):
    """Returns what a person does to get the set `name` of SOURCES, as text of several lines."""
    source = SOURCES[name]
    steps = source.by_hand or by_browser(source, "{into}") + "."
    return f"{source.folder}: open {source.page} in a browser. {steps.format(into=into)}\n{source.terms()}"


def by_browser(source, into):
    """Returns what a person does who fetches the archives of a set with a browser, without the full stop."""
    names = " and ".join(address.rsplit("/", 1)[-1] for address in source.ways[0])
    return f"Save {names} in {into} without unpacking, and give the command again: it unpacks and checks"
