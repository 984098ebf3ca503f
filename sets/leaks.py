"""Patients and photographs on both sides of a split: who learns from one eye scores too well on the other.

    sentences = in_several_parts(photographs)          for the doctor, and for augment.py and training.py to
    sentences = copies_in_parts(files)                 refuse
    refuse_learned_from(tested, everyone, shas)        for testing.py
    patients = patients_met(tested, shas)
"""

from collections import defaultdict

from running.command import Problem, counted
from running.files import sha256

PARTS = "training", "validation", "test"


def in_several_parts(photographs):
    """Returns a sentence for every two or three parts of a set that share patients."""
    alike = defaultdict(list)  # {(set, parts): [(patient, a photograph in each part)]}
    for (name, patient), parts in _parts_of_patients(photographs).items():
        if len(parts) > 1:
            alike[name, tuple(parts)].append((patient, [own[0].path for own in parts.values()]))
    return [_sentence(name, parts, shared) for (name, parts), shared in alike.items()]


def _parts_of_patients(photographs):
    """Returns {(set, patient): {part: photographs}}, the parts in order; of patients that are told of.

    What lies in no part is learned from. A name such as 1.png in two parts is not evidence: numbers often
    begin anew.
    """
    found = defaultdict(lambda: defaultdict(list))
    for part in PARTS:
        for photograph in photographs:
            if photograph.told and part == photograph.split.replace("all", "training"):
                found[photograph.set, photograph.patient][part].append(photograph)
    return found


def _sentence(name, parts, shared):
    patient, paths = shared[0]
    return (f"{name}: {counted(len(shared), 'patient')} {'is' if len(shared) == 1 else 'are'} in the "
            f"{' and the '.join(parts)} part, {patient} for one ({', '.join(map(str, paths))}). Move all "
            "photographs of a patient to one part; if they are of several (folders of one name count as one "
            "patient), say so in patients.csv.")


def copies_in_parts(files):
    """Returns a sentence for each photograph that lies in several parts, under whatever names.

    files: {path: (part, SHA-256)}. A copy that was saved anew has other bytes: only the doctor knows it, by
    its pixels.
    """
    alike = defaultdict(dict)
    for path, (part, digest) in files.items():
        alike[digest].setdefault(part, path)
    return [same_photograph(parts.values()) for digest, parts in alike.items() if digest and len(parts) > 1]


def same_photograph(paths):
    return f"{' and '.join(map(str, paths))} are the same photograph. Remove all but one."


def patient_of(photograph):
    """Returns (set, patient), or None of one whose patient nobody tells."""
    return (photograph.set, photograph.patient) if photograph.told else None


def patients_met(photographs, learned):
    """Returns the patients, as of patient_of, of whom a photograph's sum is among `learned`."""
    return {patient_of(own) for own in photographs
            if learned and own.told and sha256(own.path) in learned}


def refuse_learned_from(tested, everyone, learned):
    """Raises Problem if photographs of the test part are of patients from whom the model has learned.

    tested: photographs; everyone: all of their sets; learned: the sums of the photographs that the model has
    met. Only the files of patients in several parts are read.
    """
    met = {}  # {(set, patient): a photograph that the model has met}
    for who, parts in _parts_of_patients(everyone).items():
        others = [own for part in parts if part != "test" for own in parts[part]] if "test" in parts else []
        if own := next((own for own in others if learned and sha256(own.path) in learned), None):
            met[who] = own
    known = [own for own in tested if own.split == "test" and (own.set, own.patient) in met]
    if known:
        own = known[0]
        raise Problem(f"{own.path}: is of patient {own.patient}, whom the model has met "
                      f"({met[own.set, own.patient].path}), so that its score would be too high: "
                      f"{counted(len(known), 'photograph')} of {len(tested)} in all. Move all photographs of "
                      "a patient to one part and train anew, or give another --model.")
