"""Folders to a described training set: what is cut, said, split, left out, and done only once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pytest
import soundfile

from amtsep import cli
from amtsep.errors import DataError
from amtsep.notes import Notes, Track
from amtsep.studio import corpus, rendering
from amtsep.studio.captions import Heard, caption, phrases
from amtsep.studio.config import CorpusSettings
from amtsep.studio.fingerprint import distance, fingerprint, same
from amtsep.studio.hearing import describe
from amtsep.studio.names import about
from amtsep.studio.recipe import STYLES, TUNES, arrange, write_recipe
from amtsep.studio.splitting import connected, split_by_group
from amtsep.synthesis.soundfonts import available

RATE = 8000
SETTINGS = CorpusSettings(sample_rate=RATE, clip_s=4.0, least_s=1.5, hear=False)


def music(seed: int, seconds: float = 9.0) -> np.ndarray:
    """A made-up tune with noise, as different from another seed's as two recordings are."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(0.25 * RATE)) / RATE
    notes = [
        np.sin(2 * np.pi * f * t) * np.exp(-6 * t) for f in 220 * 2 ** (rng.integers(0, 36, int(seconds * 4)) / 12)
    ]
    return (0.4 * np.concatenate(notes) + 0.01 * rng.standard_normal(2000 * int(seconds * 4))).astype(np.float32)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Two genres, two works each, one of them twice; a copy at another rate and level; silence; rubbish; unknown."""
    root = tmp_path / "library"
    for number, (genre, name) in enumerate(
        [("jazz", "Ann - Blue"), ("jazz", "02 - Bob - Two"), ("rock", "Cy - Loud"), ("rock", "Cy - Loud (live)"),
         ("unknown", "what")]
    ):  # fmt: skip
        (root / genre).mkdir(parents=True, exist_ok=True)
        soundfile.write(root / genre / f"{name}.wav", music(number), RATE)
    copy = 0.3 * np.concatenate([np.zeros(3000, np.float32), music(0)])
    soundfile.write(root / "rock" / "copy.ogg", copy, RATE)
    soundfile.write(root / "rock" / "nothing.wav", np.zeros(RATE), RATE)
    (root / "rock" / "broken.mp3").write_bytes(b"not sound at all" * 99)
    return root


def test_a_library_becomes_clips_captions_and_a_manifest(library: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = corpus.build(corpus.gather([library]), out, SETTINGS)
    rows = corpus.read_manifest(out)
    # Nine seconds: two clips of four; the second left is too short.
    assert len(rows) == 5 * 2 and [row["start_s"] for row in rows[:2]] == [0.0, 4.0]
    for row in rows:
        info = soundfile.info(out / row["audio"])
        assert (info.samplerate, info.channels, info.format) == (RATE, 1, "FLAC")
        assert (out / row["audio"]).with_suffix(".txt").read_text(encoding="utf-8").strip() == row["caption"]
    blue = next(row for row in rows if row["title"] == "Blue")
    assert (blue["artist"], blue["genre"], blue["caption"]) == ("Ann", "jazz", "Blue: jazz")
    assert sorted(Path(name).name for name in report.failed) == ["broken.mp3", "nothing.wav"]
    assert all(Path(name).name in said for name, said in report.failed.items())
    assert report.duplicates == {"library/rock/copy.ogg": "library/jazz/Ann - Blue.wav"}
    assert {row["split"] for row in rows if row["work"] == "cy|loud"} in ({"train"}, {"validation"}, {"test"})


def test_what_is_done_is_not_done_again_and_what_a_person_wrote_stays(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    first = corpus.build(corpus.gather([library]), out, SETTINGS)
    corpus.correct_caption(out, first.rows[0]["audio"], "a saxophone alone")
    beside = (out / first.rows[1]["audio"]).with_suffix(".txt")
    beside.write_text("edited in a text editor\n", encoding="utf-8")
    (out / first.rows[2]["audio"]).unlink()
    stamps = {p.name: p.stat().st_mtime_ns for p in (out / "audio").glob("*.flac")}
    soundfile.write(library / "jazz" / "new.wav", music(9), RATE)
    again = corpus.build(corpus.gather([library]), out, replace(SETTINGS, language="zh"))
    assert again.cached == 4
    texts = {row["audio"]: (row["caption"], row["caption_by"]) for row in again.rows}
    assert texts[first.rows[0]["audio"]] == ("a saxophone alone", "hand")
    assert texts[first.rows[1]["audio"]] == ("edited in a text editor", "hand")
    assert (out / first.rows[2]["audio"]).is_file() and texts[first.rows[2]["audio"]][0].endswith("爵士")
    lost = Path(first.rows[2]["audio"]).stem[:-4]
    same = [n for n, t in stamps.items() if not n.startswith(lost) and (out / "audio" / n).stat().st_mtime_ns == t]
    assert len(same) == len([n for n in stamps if not n.startswith(lost)])


def test_what_a_person_wrote_outlives_a_file_that_cannot_be_read_for_a_while(library: Path, tmp_path: Path) -> None:
    out, blue = tmp_path / "out", library / "jazz" / "Ann - Blue.wav"
    first = corpus.build(corpus.gather([library]), out, SETTINGS)
    one, two = (row["audio"] for row in first.rows if row["title"] == "Blue")
    corpus.correct_caption(out, one, "a saxophone alone")
    (out / two).with_suffix(".txt").write_text("edited in a text editor\n", encoding="utf-8")
    sound = blue.read_bytes()
    blue.write_bytes(b"a disk that is not there")
    (library / "rock" / "copy.ogg").unlink()
    for _ in range(2):
        gone = corpus.build(corpus.gather([library]), out, SETTINGS)
        assert one not in {row["audio"] for row in gone.rows} and not (out / one).exists()
    # The same with other folders named: nothing of the first is read.
    corpus.build(corpus.gather([library / "rock"]), out, SETTINGS)
    blue.write_bytes(sound)
    texts = {row["audio"]: row["caption"] for row in corpus.build(corpus.gather([library]), out, SETTINGS).rows}
    assert (texts[one], texts[two]) == ("a saxophone alone", "edited in a text editor")
    assert len(set(texts.values())) == 5
    assert (out / one).with_suffix(".txt").read_text(encoding="utf-8") == "a saxophone alone\n"
    (out / one).with_suffix(".txt").unlink()
    texts = {row["audio"]: row["caption"] for row in corpus.build(corpus.gather([library]), out, SETTINGS).rows}
    assert (texts[one], texts[two]) == ("Blue: jazz", "edited in a text editor")


def test_texts_of_a_run_that_was_stopped_are_not_taken_for_a_persons(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real = tmp_path / "out", corpus.write_manifest
    corpus.build(corpus.gather([library]), out, SETTINGS)

    def stopping(where: Path, rows: Any, name: str = corpus.MANIFEST) -> None:
        if name == corpus.MANIFEST:
            raise KeyboardInterrupt
        real(where, rows, name)

    monkeypatch.setattr(corpus, "write_manifest", stopping)
    with pytest.raises(KeyboardInterrupt):
        corpus.build(corpus.gather([library]), out, replace(SETTINGS, template="{genre} music"))
    monkeypatch.setattr(corpus, "write_manifest", real)
    rows = corpus.build(corpus.gather([library]), out, replace(SETTINGS, template="{genre} music")).rows
    assert {row["caption_by"] for row in rows} == {"template"} and rows[0]["caption"] == "jazz music"


def test_what_lies_in_the_folder_and_is_no_clip_is_left_alone(library: Path, tmp_path: Path) -> None:
    out = tmp_path / "project"
    (out / "audio").mkdir(parents=True)
    soundfile.write(out / "audio" / "the only take.wav", music(7), RATE)
    (out / "audio" / "remarks.txt").write_text("mine", encoding="utf-8")
    before = corpus.build(corpus.gather([library]), out, SETTINGS)
    (library / "jazz" / "Ann - Blue.wav").unlink()
    corpus.build(corpus.gather([library]), out, SETTINGS)
    assert (out / "audio" / "the only take.wav").is_file() and (out / "audio" / "remarks.txt").is_file()
    # Clips of what has gone still go.
    assert not (out / next(row["audio"] for row in before.rows if row["title"] == "Blue")).exists()


def test_an_interrupted_run_leaves_no_half_file_and_is_gone_on_with(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real, calls = tmp_path / "out", corpus.write_sound, []

    def stopping(path: Path, *rest: Any) -> None:
        calls.append(path)
        if len(calls) == 4:
            raise KeyboardInterrupt
        real(path, *rest)

    monkeypatch.setattr(corpus, "write_sound", stopping)
    with pytest.raises(KeyboardInterrupt):
        corpus.build(corpus.gather([library]), out, SETTINGS)
    assert not (out / corpus.MANIFEST).exists() and len(list((out / "audio").glob("*.flac"))) == 3
    monkeypatch.setattr(corpus, "write_sound", real)
    assert corpus.build(corpus.gather([library]), out, SETTINGS).cached == 1
    whole = tmp_path / "whole"
    corpus.build(corpus.gather([library]), whole, SETTINGS)
    assert (out / corpus.MANIFEST).read_bytes() == (whole / corpus.MANIFEST).read_bytes()
    assert not [p for p in out.rglob("*") if p.name.startswith(".") and p.name != ".work"]


def test_stereo_wav_of_another_rate_and_loudness(tmp_path: Path) -> None:
    pytest.importorskip("pyloudnorm", reason="pyloudnorm is not installed (amtsep[studio])")
    import pyloudnorm

    left, right = music(1), 0.2 * music(2)
    soundfile.write(tmp_path / "wide.flac", np.stack([left, right], axis=1), RATE)
    settings = replace(SETTINGS, sample_rate=16_000, channels=2, format="wav", loudness=-23.0, clip_s=20.0)
    corpus.build(corpus.gather([tmp_path / "wide.flac"]), tmp_path / "out", settings)
    row = corpus.read_manifest(tmp_path / "out")[0]
    sound, rate = soundfile.read(tmp_path / "out" / row["audio"])
    assert rate == 16_000 and sound.shape[1] == 2 and np.std(sound[:, 0]) > 3 * np.std(sound[:, 1])
    assert pyloudnorm.Meter(rate).integrated_loudness(sound) == pytest.approx(-23.0, abs=0.5)


def test_genres_of_what_is_unknown_are_guesses_and_say_so(library: Path, tmp_path: Path) -> None:
    report = corpus.build(corpus.gather([library]), tmp_path / "o", SETTINGS, guess=lambda path: ("metal", 0.71))
    guessed = [row for row in report.rows if row["genre_by"] == "guess"]
    assert len(guessed) == 2 and all((r["genre"], r["genre_probability"]) == ("metal", 0.71) for r in guessed)
    assert guessed[0]["caption"] == "what: metal"
    assert all(r["genre_probability"] is None for r in report.rows if r not in guessed)


def test_a_table_goes_before_names(library: Path, tmp_path: Path) -> None:
    table = tmp_path / "about.csv"
    table.write_text("file,title,genre,work\njazz/Ann - Blue.wav,Blau,swing,w1\n", encoding="utf-8")
    told = {s.path.name: s.about for s in corpus.gather([library], table)}["Ann - Blue.wav"]
    assert (told.title, told.artist, told.genre, told.work) == ("Blau", "Ann", "swing", "w1")
    table.write_text("name\nx\n", encoding="utf-8")
    with pytest.raises(DataError, match="no column 'file'"):
        corpus.gather([library], table)


def test_names_tell_works_apart_and_join_recordings_of_one() -> None:
    def work(path: str) -> str:
        return about(PurePath(path)).work

    assert work("a/03. Ann - Été (live 1990).mp3") == work("b/Ann - ete.flac")
    assert work("blues/blues.00001.wav") != work("blues/blues.00002.wav")
    assert work("x/1979.mp3") != work("x/1985.mp3")
    assert about(PurePath("x.mp3")).genre == "unknown"
    assert about(PurePath("rock/Some Band/song.mp3")).artist == "Some Band"


def test_captions_in_two_languages_leave_out_what_is_not_known() -> None:
    heard = Heard(96.2, -1, True, 3, ("low", "middle", "high"), 4.0)
    english = caption(phrases("Air", "", "jazz", heard))
    assert english == (
        "Air: jazz, 96 beats a minute, in D minor, three timbres, low, middle and high registers, moderately busy"
    )
    assert caption(phrases("Air", "", "jazz", heard, "zh"), language="zh") == (
        "Air：爵士，每分钟96拍，D小调，三种音色，中低音、中音、高音区，疏密适中"
    )
    assert caption(phrases("Air", "", "unknown", Heard(density=0.2))) == "Air: sparse"
    assert caption(phrases("Air", "Bo", "jazz", heard), "{artist} - {key}") == "Bo - in D minor"


def test_a_wrong_template_is_one_sentence_and_costs_no_work(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["corpus", str(library), "-o", str(tmp_path / "o"), "--template", "{mood}"]) == 1
    assert "{mood}, which is no field" in capsys.readouterr().err
    assert cli.main(["corpus"]) == 2 and cli.main(["corpus", str(tmp_path / "absent")]) == 1
    assert "absent does not exist" in capsys.readouterr().err


def test_descriptions_come_from_the_notes() -> None:
    scale = [60, 62, 64, 65, 67, 69, 71, 72]
    onset = np.arange(32) * 0.5
    high = Notes.build(onset, onset + 0.45, [p + 12 for p in scale] * 4, tracks=[Track("a")])
    low = Notes.build(onset[::4], onset[::4] + 1.9, [36, 43] * 4, tracks=[Track("b")])
    heard = describe(Notes.concatenate([high, low]), 16.0)
    assert heard.key == 0 and not heard.minor and heard.timbres == 2 and heard.registers == ("bass", "high")
    assert heard.density == 2.5 and heard.tempo is not None
    assert min(abs(heard.tempo / 120 - factor) for factor in (0.5, 1.0, 2.0)) < 0.05
    assert describe(Notes.empty(), 4.0) == Heard(density=0.0)


def test_no_work_is_in_two_splits_and_every_label_is_in_all() -> None:
    groups = [f"g{i // 3}" for i in range(60)]
    labels = ["a" if i // 3 < 10 else "b" for i in range(60)]
    one = split_by_group(groups, labels, 0.1, 0.2, 0)
    assert one == split_by_group(groups, labels, 0.1, 0.2, 0) != split_by_group(groups, labels, 0.1, 0.2, 1)
    assert all(len({s for s, g in zip(one, groups) if g == group}) == 1 for group in set(groups))
    assert all({s for s, b in zip(one, labels) if b == label} == {"train", "validation", "test"} for label in "ab")
    joined = connected([("w1", "ann"), ("w2", "bob"), ("w3", "ann"), ("w2", "cy")])
    assert joined[0] == joined[2] != joined[1] == joined[3]


def test_the_recipe_is_music_of_five_styles_and_renders(tmp_path: Path) -> None:
    written = write_recipe(tmp_path / "tunes")
    assert len(written) == len(TUNES) * len(STYLES)
    for tune in TUNES:
        notes = arrange(tune, STYLES["rock"])
        bars = len(TUNES[tune][1].split())
        assert notes.end == pytest.approx(2 * bars * 4 * 60 / 138, rel=0.02), tune
    if not available():
        pytest.skip("FluidSynth is not installed")
    few = [p for p in written if p.stem == "London Bridge" and p.parent.name in ("jazz", "rock")]
    (tmp_path / "few.musicxml").write_bytes(b"<score-partwise/>")
    sources = corpus.gather([*few, few[0], tmp_path / "few.musicxml"])
    report = corpus.build(sources, tmp_path / "out", replace(SETTINGS, clip_s=60.0))
    assert len(report.rows) == 2 and all(row["rendered"] for row in report.rows) and len(report.failed) == 1
    sound, _ = soundfile.read(tmp_path / "out" / report.rows[0]["audio"])
    assert 0.5 < np.abs(sound).max() <= 0.8 and len(sound) > 20 * RATE


@pytest.mark.skipif(not available(), reason="FluidSynth is not installed")
def test_what_is_heard_stands_in_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tunes = {p.parent.name: p for p in write_recipe(tmp_path / "tunes") if p.stem == "Ode to Joy"}
    monkeypatch.setattr(corpus, "hear", lambda audio, model, threads: describe(rendering.read_score(tunes["jazz"]), 30))
    corpus.build(corpus.gather([tunes["jazz"]]), tmp_path / "o", replace(SETTINGS, hear=True, clip_s=30.0))
    row = json.loads((tmp_path / "o" / corpus.MANIFEST).read_text(encoding="utf-8").splitlines()[0])
    assert row["timbres"] == 4 and "four timbres" in row["caption"] and "beats a minute" in row["caption"]
    assert row["key"].split()[1] in ("major", "minor") and row["notes_per_s"] > 1


MEASURES = """<measure number="1"><attributes><divisions>1</divisions><time>
<beats>2</beats><beat-type>4</beat-type></time>
</attributes><direction><sound tempo="120"/></direction><note><grace/><pitch><step>B</step><octave>3</octave></pitch>
</note><note><pitch><step>C</step><octave>4</octave></pitch><duration>2</duration></note></measure>
<measure number="2"><barline location="left"><ending number="1" type="start"/></barline>
<note><pitch><step>D</step><octave>4</octave></pitch><duration>2</duration></note>
<barline location="right"><ending number="1" type="stop"/><repeat direction="backward"/></barline></measure>
<measure number="3"><barline location="left"><ending number="2" type="start"/></barline>
<direction><direction-type><metronome><beat-unit>quarter</beat-unit><per-minute>60</per-minute></metronome>
</direction-type></direction><note><pitch><step>E</step><octave>4</octave></pitch><duration>2</duration></note>
<barline location="right"><ending number="2" type="stop"/></barline></measure>"""


def test_notation_is_played_with_its_repeats_and_tempo_marks(tmp_path: Path) -> None:
    pytest.importorskip("music21", reason="music21 is not installed (amtsep[studio])")
    head = '<score-partwise version="3.1"><part-list><score-part id="P1"><part-name>Flute</part-name>'
    head += '<score-instrument id="I1"><instrument-name>Flute</instrument-name></score-instrument>'
    head += '<midi-instrument id="I1"><midi-program>74</midi-program></midi-instrument></score-part>'
    (tmp_path / "a.musicxml").write_text(f'{head}</part-list><part id="P1">{MEASURES}</part></score-partwise>')
    notes = rendering.read_score(tmp_path / "a.musicxml")
    # The first two bars twice at 120 (the second time with the other ending), which is at 60.
    assert notes.pitch.tolist() == [60, 62, 60, 64]
    assert notes.onset.tolist() == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=1e-3)
    assert notes.offset[-1] == pytest.approx(5.0, abs=1e-3)
    assert notes.tracks[0].name == "Flute" and notes.tracks[0].program == 73


def bar(number: int, notes: str, signs: str = "") -> str:
    """A bar of 2/4, its notes by name and octave; signs: [ and ] repeat, F is the end, = begins and - ends a tie."""
    text = "<attributes><divisions>1</divisions><time><beats>2</beats><beat-type>4</beat-type></time></attributes>"
    text += '<barline location="left"><repeat direction="forward"/></barline>' if "[" in signs else ""
    each = notes.split()
    for note in each:
        chord = "<chord/>" if note.startswith("+") else ""
        ties = "".join(f'<tie type="{kind}"/>' for sign, kind in (("-", "stop"), ("=", "start")) if sign in note)
        step, octave = note.strip("+=-")
        text += f"<note>{chord}<pitch><step>{step}</step><octave>{octave}</octave></pitch>"
        text += f"<duration>{2 if len([n for n in each if n[0] != '+']) == 1 else 1}</duration>{ties}</note>"
    style = "<bar-style>light-heavy</bar-style>" if "F" in signs else ""
    back = '<repeat direction="backward"/>' if "]" in signs else ""
    text += f'<barline location="right">{style}{back}</barline>' if style or back else ""
    return f'<measure number="{number}">{text}</measure>'


def notation(path: Path, *parts: str) -> Path:
    names = [f"P{i}" for i in range(len(parts))]
    listed = "".join(f'<score-part id="{n}"><part-name>{n}</part-name></score-part>' for n in names)
    music = "".join(f'<part id="{n}">{own}</part>' for n, own in zip(names, parts))
    text = f'<score-partwise version="3.1"><part-list>{listed}</part-list>{music}</score-partwise>'
    path.write_text(text, encoding="utf-8")
    return path


def test_sections_and_movements_are_repeated_each_by_itself_and_in_all_parts(tmp_path: Path) -> None:
    pytest.importorskip("music21", reason="music21 is not installed (amtsep[studio])")
    # Signs stand in the upper part alone; no section but the third says where it begins, and bars are counted anew.
    upper = bar(1, "C4", "]") + bar(2, "D4", "]") + bar(3, "E4", "[") + bar(4, "F4", "]F") + bar(1, "G4", "]")
    lower = "".join(bar(n, note) for n, note in ((1, "C3"), (2, "D3"), (3, "E3"), (4, "F3"), (1, "G3")))
    notes = rendering.read_score(notation(tmp_path / "a.musicxml", upper, lower))
    ways = [notes.select(notes.track == i) for i in (0, 1)]
    assert ways[0].pitch.tolist() == [60, 60, 62, 62, 64, 65, 64, 65, 67, 67]
    assert np.array_equal(ways[1].pitch, ways[0].pitch - 12)
    assert np.array_equal(ways[1].onset, ways[0].onset)
    # 96 quarters a minute where nothing is said.
    assert notes.end == pytest.approx(20 * 60 / 96, abs=1e-3)


def test_ties_hold_single_notes_of_chords(tmp_path: Path) -> None:
    pytest.importorskip("music21", reason="music21 is not installed (amtsep[studio])")
    part = bar(1, "C4= +E4") + bar(2, "C4-= +F4") + bar(3, "C4- D4")
    notes = rendering.read_score(notation(tmp_path / "a.musicxml", part))
    quarters = sorted(zip(notes.pitch.tolist(), np.round(notes.onset * 1.6, 2), np.round(notes.offset * 1.6, 2)))
    assert quarters == [(60, 0, 5), (62, 5, 6), (64, 0, 2), (65, 2, 4)]


DEMOS = sorted((Path(__file__).resolve().parents[2] / "notebooks" / "demos").glob("*.ogg"))


@pytest.mark.parametrize(("ending", "rate"), [("mp3", 44_100), ("ogg", 16_000)])
def test_real_recordings_encoded_anew_are_found_and_others_are_not_taken_for_them(
    ending: str, rate: int, tmp_path: Path
) -> None:
    import soxr

    prints = {}
    for path in DEMOS:
        sound, own = soundfile.read(path, dtype="float32", always_2d=True)
        mono = sound.mean(axis=1)
        prints[path.stem] = fingerprint(mono, own)
        again = tmp_path / f"{path.stem}.{ending}"
        soundfile.write(again, 0.4 * soxr.resample(mono, own, rate), rate)
        sound, own = soundfile.read(again, dtype="float32")
        prints[f"again {path.stem}"] = fingerprint(sound, own)
    names = [path.stem for path in DEMOS]
    assert all(same(prints[name], prints[f"again {name}"]) for name in names)
    different = [distance(prints[a], prints[b]) for a in names for b in names if a < b]
    assert min(different) > 0.4


def test_a_classifier_named_on_the_command_line_fills_genres_in_and_two_processes_do_as_one(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch", reason="torch is not installed (amtsep[studio])")
    from amtsep.studio.genre import Classifier

    class Sure:
        def guess(self, path: Path) -> tuple[str, float]:
            return "metal", 0.9

    monkeypatch.setattr(Classifier, "load", lambda path: Sure() if path.name == "g.safetensors" else None)
    words = ["--no-hear", "--clip", "4", "--sample-rate", "8000", "--genre-model", "g.safetensors"]
    for name, jobs in (("one", "1"), ("two", "2")):
        assert cli.main(["corpus", str(library), "-o", str(tmp_path / name), "--jobs", jobs, *words]) == 1, (
            "one is broken"
        )
    said = capfd.readouterr()
    assert "is no sound" in said.err or "broken.mp3" in said.err
    rows = corpus.read_manifest(tmp_path / "two")
    assert rows == corpus.read_manifest(tmp_path / "one")
    assert {r["genre"] for r in rows if r["genre_by"] == "guess"} == {"metal"}


def test_in_a_terminal_one_sees_how_far_it_is(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    words = ["--no-hear", "--clip", "4", "--sample-rate", "8000"]
    assert cli.main(["corpus", str(library / "jazz"), "-o", str(tmp_path / "o"), *words]) == 0
    shown = capsys.readouterr().err
    assert "looking" in shown and "2/2" in shown and "[" in shown
