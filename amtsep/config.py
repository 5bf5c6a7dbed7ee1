"""Every setting of the library, as frozen dataclasses.

A default stands here and nowhere else: the command line, the sliders, the training configs and the documentation
read it from these classes. A parameter has the same name everywhere.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace

Progress = Callable[[float, float, str], object]
"""``progress(done, total, what)``; returning ``False`` (exactly) asks the work to stop with ``Cancelled``."""

MIDI_MIN = 21
"""Lowest pitch, A0."""
N_PITCHES = 88
"""Pitches A0 to C8 (MIDI 21 to 108)."""


NORMALISATIONS = ("mean", "running")
"""What `FrontEnd.normalisation` may be."""


@dataclass(frozen=True)
class FrontEnd:
    """The constant-Q front end (lengths in samples at `sample_rate`, frequencies in Hz)."""

    sample_rate: int = 22050
    hop_length: int = 256
    bins_per_octave: int = 36
    f_min: float = 27.5
    n_bins: int = 306
    """8.5 octaves: the highest bin, 9.8 kHz, keeps its main lobe under the Nyquist frequency."""
    gamma: float = 2.0
    """Hz added to the bandwidth f/Q of every bin, so that windows of low bins stay short (a variable-Q transform)."""
    log_floor: float = 1e-7
    """Added to the power (clip mean = 1) before the logarithm: -70 dB."""
    normalisation: str = "mean"
    """What brings the sound to a mean energy of one: "mean" (of the whole recording), or "running" (of the seconds
    around each moment; see `amtsep.loudness`). Weights are used with the one that they were trained with."""
    level_window_s: float = 3.0
    """Seconds before and after a moment that make its running level."""
    level_floor_db: float = -40.0
    """How far under the loudest half second, in dB, the running level may go."""

    def __post_init__(self) -> None:
        if self.normalisation not in NORMALISATIONS:
            raise ValueError(f"The normalisation is 'mean' or 'running', not {self.normalisation!r}.")

    @property
    def hop_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.hop_length / self.sample_rate

    def transforms_like(self, other: FrontEnd) -> bool:
        """Whether both give the same spectrum of the same samples, however these are normalised before."""
        levels = ("normalisation", "level_window_s", "level_floor_db")
        return replace(self, **{name: getattr(other, name) for name in levels}) == other


ENDS = ("auto", "key", "sound")
"""What `Decoding.ends` may say."""


BACKENDS = ("auto", "onnx", "openvino", "torch")
"""What may compute a network: `amtsep.inference.Transcriber`."""


@dataclass(frozen=True)
class Decoding:
    """How posteriors become notes: what the sliders and the command line set."""

    onset_threshold: float = 0.5
    """Height in [0, 1] that a peak of the onset posterior must reach."""
    frame_threshold: float = 0.3
    """Height in [0, 1] over which the frame posterior counts as sounding."""
    min_note_length: float = 0.06
    """Shortest note, in seconds."""
    energy_tolerance: float = 0.13
    """Seconds that the frame posterior may stay under its threshold before a note ends (taken to whole frames)."""
    inferred_onsets: bool = True
    """Join the network's onsets with those inferred from rises of the frame posterior."""
    leftover_notes: bool = True
    """Add notes without an onset where the frame posterior is left unexplained."""
    min_pitch: int = MIDI_MIN
    max_pitch: int = MIDI_MIN + N_PITCHES - 1
    ends: str = "auto"
    """Where notes end: "sound", where they have died away; "key", where the network hears them let go, if it has
    learned to; or "auto", where they have died away, but soon after they were let go at the latest."""
    offset_threshold: float = 0.3
    """Height in [0, 1] that a peak of the offset posterior must reach to end a note."""

    def __post_init__(self) -> None:
        for name in ("onset_threshold", "frame_threshold", "offset_threshold"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is {getattr(self, name):g}; it must lie between 0 and 1.")
        for name in ("min_note_length", "energy_tolerance"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name):g}; it cannot be negative or endless.")
        if not 0 <= self.min_pitch <= self.max_pitch <= 127:
            raise ValueError(
                f"The pitch range {self.min_pitch} to {self.max_pitch} is none; give MIDI numbers, the lowest first."
            )
        if self.ends not in ENDS:
            raise ValueError(f"ends is {' or '.join(map(repr, ENDS))}, not {self.ends!r}.")


@dataclass(frozen=True)
class DrumDecoding:
    """How posteriors become drum strokes."""

    threshold: float = 0.5
    """Height in [0, 1] that a peak must reach."""
    min_gap: float = 0.03
    """Least time between two strokes of a class, in seconds."""
    sure: float = 0.8
    """Height from which a stroke counts where it is asked whether there are drums at all."""
    sure_rate: float = 0.5
    """So many sure strokes a second, over ten seconds somewhere, are drums: without any there is a tenth of it."""


@dataclass(frozen=True)
class Clustering:
    """How notes become tracks by their timbre embeddings."""

    timbres: int | None = None
    """How many; ``None`` has the number estimated."""
    min_timbres: int = 1
    """Lowest number that the estimate gives: 2 where one knows that several play."""
    max_timbres: int = 8
    """Highest number that the estimate considers."""
    method: str = "ward-kmeans"
    """"ward", "ward-kmeans", "kmeans", "spectral", "mixture" or "target-and-rest"."""
    monophony: float = 1.0
    """How strongly a timbre that plays one note at a time is kept from overlapping itself; 0 leaves it out."""
    register: float = 1.0
    """How much the pitches that a timbre played shortly before and after count; 0 leaves it out."""
    stereo: float = 1.0
    """How much it counts where notes of a stereo recording lie between its channels; 0 leaves it out."""
    unisons: bool = False
    """Write a note that two timbres play at once to both."""
    unison_evidence: float = 3.0
    """Logarithm of the odds that the sound of a note must give for two timbres against one."""
    given_weight: float = -2.5
    """Log odds for a note to go with a given one that it sounds as much like as it does like a timbre's mean."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.timbres is not None and self.timbres < 1:
            raise ValueError(f"timbres is {self.timbres}; give a number from 1 on, or None to have it estimated.")
        if not 0.0 <= self.stereo < float("inf"):
            raise ValueError(f"stereo is {self.stereo:g}; it cannot be negative or endless.")
        if not 1 <= self.min_timbres <= self.max_timbres:
            raise ValueError(
                f"From {self.min_timbres} to {self.max_timbres} timbres is no range; the lowest comes first."
            )


BYTES_PER_SECOND = 270_000
"""Memory that a second of a recording takes: its samples, and the posteriors and embeddings of the largest network."""


def affordable_s() -> float:
    """Seconds of a recording for which half of this computer's memory is enough, in whole quarters of an hour."""
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        memory = 8 << 30
    return max(900.0, memory / 2 / BYTES_PER_SECOND // 900 * 900)


@dataclass(frozen=True)
class BeatTracking:
    """How beats and bars are found in notes; costs are logarithms of odds."""

    min_tempo: float = 36.0
    """Beats a minute."""
    max_tempo: float = 260.0
    usual_tempo: float = 92.0
    """Centre of the prior over tempi."""
    tempo_spread: float = 0.6
    """Its standard deviation, of the logarithm."""
    tempo_weight: float = 0.05
    """How much it counts at every beat (at the first it counts once)."""
    tempo_change: float = 0.06
    """Change of a beat's length (logarithm) that costs 1."""
    largest_cost: float = 8.0
    """No change costs more: a pause."""
    beat_weight: float = 2.0
    """Of the evidence for a beat against that for none between beats."""
    metre_prior: tuple[float, float, float] = (0.2, 0.3, 0.5)
    """Shares of bars of two, three and four beats."""
    prior_share: float = 0.5
    """How much of that the network's word is relieved of, which has learned it at every beat."""
    bar_weight: float = 1.0
    """Of the network's word at each beat on where in the bar it lies."""
    metre_change: float = 15.0
    """Cost of another metre from one bar to the next."""
    slip_cost: float = 4.0
    """Cost of a beat that is lost or one too many: the bar lines after it go on where they belong."""
    pickup_cost: float = 0.7
    """Cost of a beginning before the first bar line."""


@dataclass(frozen=True)
class Quantisation:
    """How notes are put on the grid of the beats; costs are logarithms of odds."""

    chord_s: float = 0.035
    """Onsets this close are one chord."""
    spread_s: float = 0.03
    """Standard deviation of an onset around its place, in seconds."""
    spread: float = 0.02
    """The same as a share of a beat; the two add up as squares."""
    early: float = 0.12
    """Share of a beat by which a note may come before the beat that it belongs to."""
    simple_costs: tuple[float, ...] = (0.0, 0.3, 1.6, 2.6, 4.5, 5.0)
    """Of parting a beat into 1, 2, 4, 3, 8 and 6."""
    compound_costs: tuple[float, ...] = (0.0, 0.3, 1.8, 3.0, 5.0, 5.0)
    """Of parting a dotted beat into 1, 3, 6, 2, 4 and 12."""
    switch_cost: float = 1.0
    """Of triplets after pairs, or pairs after triplets, in one track."""
    grace_s: float = 0.14
    """No grace note is longer, in seconds."""
    held_share: float = 0.8
    """Share of its written length that a note usually sounds; each recording tells its own."""
    held_spread: float = 0.25
    """Standard deviation of the logarithm of that share within a recording."""
    end_costs: tuple[float, float, float] = (0.5, 1.5, 3.0)
    """Of a rest that begins on a beat, at half of one (or a third), at a quarter (or a sixth)."""
    shortest_rest: int = 6
    """Ticks (24 to the quarter note): shorter rests are not written."""
    second_voice: float = 2.0
    """Cost of a second voice on a staff, at each of its notes."""
    transposed: bool = False
    """Write transposing instruments (by the track's sound) as their players read them, not as they sound."""


@dataclass(frozen=True)
class Bends:
    """How pitch curves are read from the constant-Q transform (36 bins an octave, frames of 11.6 ms)."""

    harmonics: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    """Of a note, that are looked at."""
    other_harmonics: int = 8
    """Of other notes, that may cover them."""
    apart_bins: float = 4.5
    """A harmonic is clear where no other note's lies nearer."""
    reach_bins: int = 5
    """Either side of the note's own place."""
    skip_frames: int = 2
    """After an onset."""
    min_frames: int = 5
    min_share: float = 0.35
    """Of a note's frames that must be clear."""
    floor_db: float = -75.0


@dataclass(frozen=True)
class CleanUp:
    """Rules that make a transcription playable (see `amtsep.rhythm.cleanup`)."""

    strength: float = 0.0
    """From 0, which changes nothing, to 1; the recommended one is `RECOMMENDED_CLEAN_UP`."""
    join_fragments: bool = True
    """One note heard as several becomes one."""
    harmonic_ghosts: bool = True
    """Octaves, twelfths and other harmonics of louder notes are dropped."""
    out_of_range: bool = True
    """Unsure notes far outside of where their track plays are dropped."""
    double_hits: bool = True
    """A note struck twice in less time than a player needs becomes one."""
    short_notes: bool = True
    """Unsure notes of less than a tenth of a second are dropped, sure ones held for nearly that long."""
    long_tails: bool = True
    """In tracks that play one note at a time a note ends where the next one begins."""
    monophonic: bool = True
    """There, gaps too small for a rest are closed."""


RECOMMENDED_CLEAN_UP = 0.5
"""The strength that costs no accuracy on the development sets."""


@dataclass(frozen=True)
class Pedal:
    """How the sustain pedal is found (seconds)."""

    together_s: float = 0.06
    """Ends this close come from one release."""
    apart_s: float = 0.05
    """Onsets further apart are different instants."""
    instants: int = 3
    """A release ends notes of at least so many instants."""
    delay_s: float = 0.08
    """From an onset to the pedal after it."""
    shortest_s: float = 0.15


@dataclass(frozen=True)
class MusicReading:
    """What is found in notes beside themselves, and written with them."""

    bars: bool = True
    """Find beats, bars, metre and key."""
    metre: str | None = None
    """A time signature such as "3/4" instead of the one found."""
    bends: bool = False
    """Find how the pitch of notes moves."""
    pedal: bool = False
    """Find the sustain pedal of piano-like tracks; their notes then last as long as their keys are down."""
    clean_up: CleanUp = field(default_factory=CleanUp)
    beats: BeatTracking = field(default_factory=BeatTracking)
    quantisation: Quantisation = field(default_factory=Quantisation)
    bend_curves: Bends = field(default_factory=Bends)
    pedalling: Pedal = field(default_factory=Pedal)


@dataclass(frozen=True)
class Limits:
    """What the app and the library accept: all that keeps a file from taking the machine."""

    max_duration_s: float = field(default_factory=affordable_s)
    """Of a recording; what half of the memory holds: two hours with 4 GB, four with 8."""
    max_upload_mb: float = 200.0
    max_channels: int = 64
    decoder_memory_mb: int = 2048
    """Of the process that decodes a recording."""
    decoder_cpu_s: int = 1800
    """Processor time that this process may take."""
    decoder_silence_s: float = 120.0
    """Seconds that this process may be busy without giving any sound."""
    max_text_mb: float = 64.0
    """Of a file of notes (MIDI, CSV, JSON, notation), once it is unpacked."""
    max_notes: int = 2_000_000
    """In a file of notes."""
    max_end_s: float = 12 * 3600.0
    """No note of a file ends later."""


@dataclass(frozen=True)
class Network:
    """Shape of the network; `NETWORKS` holds those that can be trained."""

    name: str = "light"
    harmonics: tuple[float, ...] = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
    """Multiples of the fundamental that are stacked as channels."""
    channels: int = 16
    """Of the trunk: the 5 x 5 convolution over the harmonic stack and all that follows it, at one row a pitch."""
    blocks: tuple[tuple[int, int] | str, ...] = ((1, 1), (1, 2), (1, 4))
    """Residual blocks of the trunk: dilations (pitch, time) of a 3 x 3 one, or "harmonic" for one whose taps lie at
    harmonics and subharmonics."""
    block_harmonics: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    """Which ones: whole multiples of the fundamental, with 1 first. Those that are no octave cost a pass each."""
    head_channels: int = 12
    embedding_channels: int = 0
    """Width of the timbre branch; 0 leaves it out."""
    embedding_dim: int = 0
    """Length D of the timbre embedding."""
    embedding_harmonic: int = 0
    """Channels of a harmonic block in the timbre branch; 0 has one dilated by an octave in its place."""
    embedding_by_pitch: bool = False
    """Whether its readout has a scale and an offset for every pitch."""
    offset_head: bool = False
    """Whether the network says where notes are let go, beside where they sound."""
    octaves: bool = True
    """Whether the trunk begins with a convolution over two octaves, a channel each."""
    shared_head: bool = False
    """Whether onsets, frames and ends are read from one hidden layer; else each has its own, and frames are told to the
    others."""
    memory: str = "none"
    """What the timbre branch knows of the rest of the clip: "none", "hebbian", "linear", "flow", "statistics" or
    "notes" (see `amtsep.nets.timbre`)."""
    phase: bool = False
    """Whether the timbre branch sees how the phase of every bin advances, beside its level."""
    architecture: str = "transcriber"
    """"transcriber" (ours), or "basic-pitch": a baseline whose shape the settings above do not touch."""
    learned_front_end: bool = False
    """Whether the kernels of the constant-Q transform are trained with the network."""


NETWORKS: dict[str, Network] = {
    "light": Network(
        # Sixteen channels throughout: engines that compute sixteen at once compute twelve in the same time.
        blocks=((1, 1), (1, 2), "harmonic", (1, 4)),
        head_channels=16,
        offset_head=True,
        octaves=False,
        shared_head=True,
    ),
    "base": Network(
        name="base",
        channels=32,
        blocks=("harmonic", (1, 1), (12, 2), "harmonic", (7, 4), "harmonic", (1, 8), (1, 1)),
        # The sixth and the seventh harmonic would take a tenth of the time more.
        block_harmonics=(1, 2, 3, 4, 5, 8),
        # Engines compute sixteen channels at once: heads of 24 would take twice the time.
        head_channels=16,
        embedding_channels=32,
        embedding_dim=16,
        offset_head=True,
    ),
    # For those who have time or a GPU: `base`, twice as wide, and a block that hears half a second either side.
    "large": Network(
        name="large",
        channels=64,
        blocks=("harmonic", (1, 1), (12, 2), "harmonic", (7, 4), "harmonic", (1, 8), (1, 16), (1, 1)),
        head_channels=32,
        embedding_channels=64,
        embedding_dim=16,
        offset_head=True,
    ),
}


@dataclass(frozen=True)
class SequenceNetwork:
    """Shape of a network that writes notes as tokens; `SEQUENCES` holds those that can be trained."""

    name: str = "sequence-tiny"
    trunk: str = "base"
    """The network whose features it reads; its weights stay as they are."""
    vocabulary: str = "slots"
    """What voices are: "slots" or "programs" (see `amtsep.sequence.tokens.Vocabulary`)."""
    channels: int = 6
    """That a pitch's features are brought to."""
    pool: int = 2
    """Steps of the vocabulary's grid (10 ms) that become one position of the encoder."""
    width: int = 128
    heads: int = 4
    feed_forward: int = 256
    encoder_layers: int = 2
    decoder_layers: int = 2
    dropout: float = 0.1
    pointers: int = 16
    """Channels that a pitch is pointed at by."""
    max_tokens: int = 512
    """Of a segment; what goes on longer is cut off."""


SEQUENCES: dict[str, SequenceNetwork] = {
    "sequence-tiny": SequenceNetwork(),
    "sequence-small": SequenceNetwork(
        name="sequence-small",
        channels=16,
        width=512,
        heads=8,
        feed_forward=1024,
        encoder_layers=8,
        decoder_layers=8,
        max_tokens=1024,
    ),
}


@dataclass(frozen=True)
class DrumNetwork:
    """Shape of the network that hears drums."""

    name: str = "drums"
    channels: tuple[int, int, int] = (12, 20, 28)
    """Of the convolutions that bring 306 bins to 17 rows."""
    hidden: int = 32
    """Of what runs over time alone."""
    dilations: tuple[int, ...] = (1, 2, 4)


BASELINES: dict[str, Network] = {"basic-pitch": Network(name="basic-pitch", architecture="basic-pitch")}
"""Networks to train beside ours, for comparison."""


@dataclass(frozen=True)
class Mixing:
    """How clips are mixed from stems while training; probabilities in [0, 1], levels in dB."""

    clip_s: float = 6.0
    parts: tuple[float, ...] = (0.22, 0.28, 0.22, 0.18, 0.10)
    """Weights of 1, 2, ... parts in a clip."""
    same_piece: float = 0.5
    """Share of the mixes whose parts come from one piece of music, where the bank has it."""
    song: float = 0.4
    """Share of the other mixes that have a song's parts: a bass, chords, a lead, ..."""
    drums: float = 0.4
    """Share of the mixes with drums, where the bank has them; half as often beside a part alone."""
    drum_level_db: tuple[float, float] = (-12.0, 6.0)
    """Level of the drums against the sum of the parts."""
    drums_alone: float = 0.0
    """Share of the mixes with drums that have nothing else."""
    drumless: bool = False
    """Make each mix without its drums as well: what a teacher hears, so that a student learns to hear through them."""
    sources: tuple[tuple[str, float], ...] = (
        ("recorded", 0.46),
        ("soundfont", 0.38),
        ("synthetic", 0.06),
        ("real", 0.1),
        ("patch", 0.3),
        ("voice", 0.1),
    )
    """Weights of kinds of stems in mixes of unrelated parts: sampled notes, soundfonts, invented timbres, real takes,
    patches of synthesizers, made-up singers; those that the bank lacks are passed over, those that are not
    named are not drawn."""
    part_gain_db: float = 5.0
    """Standard deviation of the parts' levels."""
    part_equalizer: float = 0.3
    effects: float = 0.25
    """Share of the parts that go through an amplifier, a chorus, ..., where that suits what they are."""
    tuning: float = 0.15
    """Share of the mixes that are read faster or slower, as tapes, discs and orchestras are beside 440 Hz."""
    tuning_cents: float = 50.0
    """How far these go at most, up or down; nearer is likelier."""
    room: float = 0.25
    equalizer: float = 0.25
    band_limit: float = 0.12
    noise: float = 0.4
    hum: float = 0.05
    compression: float = 0.15
    clipping: float = 0.08
    codec: float = 0.1
    """Share of the mixes that go through Ogg Vorbis, MP3 or AAC at a low rate."""
    level_db: tuple[float, float] = (-10.0, 5.0)
    """Range of the clip's mean level around one: a quiet passage of a longer recording is under it."""
    dynamics: float = 0.25
    """Share of the clips within which the level changes, at once or slowly; only for a running normalisation, which
    takes most of it away again."""
    dynamics_db: tuple[float, float] = (-40.0, -6.0)
    """How far the quieter end of these is under the louder."""
    augment: bool = True


@dataclass(frozen=True)
class Training:
    """The training loop."""

    network: str = "light"
    steps: int = 6000
    batch_size: int = 4
    accumulate: int = 1
    optimizer: str = "muon"
    """"adamw", or "muon": orthogonalised momentum for the convolutions, AdamW for the rest."""
    learning_rate: float = 3e-3
    muon_scale: float = 6.0
    """Learning rate of the orthogonal steps over `learning_rate`."""
    weight_decay: float = 1e-2
    warm_up: int = 200
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    frame_alpha: float = 0.35
    """Weight of sounding frames against silent ones in the focal loss (1 - alpha for the silent)."""
    frame_gamma: float = 1.0
    onset_alpha: float = 0.25
    onset_gamma: float = 1.0
    onset_weight: float = 3.0
    """Of the onset loss beside the frame loss."""
    offset_weight: float = 1.0
    """Of the offset loss beside the frame loss, where the network has such a head."""
    timbre_loss: str = "infonce"
    """A key of `amtsep.training.losses.TIMBRE_LOSSES`."""
    timbre_weight: float = 0.2
    timbre_temperature: float = 0.15
    max_notes: int = 96
    """Notes of a clip that enter the timbre loss."""
    max_units: int = 256
    """Time-frequency units of a clip that enter it, where it compares these and not notes."""
    balance: str = "fixed"
    """How the losses are weighed against each other: "fixed", "resistor", "dwa", "resistor-dwa" or "pcgrad" (see
    `amtsep.training.balance`)."""
    freeze_notes: bool = False
    """Train the timbre branch alone and leave everything else as it is."""
    memory: str | None = None
    """Instead of the network's own (see `Network.memory`)."""
    phase: bool | None = None
    """Instead of the network's own (see `Network.phase`)."""
    teacher_weight: float = 0.5
    """Of a teacher's posteriors beside the notes, where a training has one."""
    embedding_weight: float = 0.0
    """Of its embedding: the student's then lies in the same space, so that what was fitted to the teacher's (the
    encoder of whole notes, the number of timbres) fits the student's. 0 leaves it out."""
    vocabulary: str | None = None
    """Of a sequence network, instead of its own (see `SequenceNetwork.vocabulary`)."""
    label_smoothing: float = 0.1
    """Of a sequence network's targets: the share that all tokens have of what one should have alone."""
    source_exponent: float = 0.3
    """Where a sequence network learns from several sources: the power of their sizes by which they are drawn from."""
    stages: int = 1
    """2 begins with a few timbres and few parts in a mix."""
    first_stage: float = 0.25
    """Share of the steps, or minutes, that the first of two stages takes."""
    first_stage_timbres: int = 12
    first_stage_parts: int = 2
    learn_front_end: bool = False
    """Train the kernels of the constant-Q transform too."""
    normalisation: str = "running"
    """What clips are brought to a mean energy of one by (see `FrontEnd.normalisation`)."""
    seed: int = 1
    workers: int = 1
    checkpoint_every: int = 250
    evaluate_every: int = 500
    """Steps from one evaluation on development clips to the next."""
    dev_clips: int = 8
    """How many development clips; 0 leaves the evaluation out."""
    patience: int | None = None
    """End after so many evaluations without a better one; ``None`` goes on to the end."""
    mixing: Mixing = field(default_factory=Mixing)


TRAININGS: dict[str, Training] = {
    "light": Training(),
    "base": Training(
        network="base",
        learning_rate=2e-3,
        warm_up=100,
        timbre_weight=0.4,
        max_notes=128,
        mixing=Mixing(clip_s=8.0, parts=(0.15, 0.25, 0.25, 0.22, 0.13)),
    ),
    "large": Training(
        network="large",
        steps=40_000,
        batch_size=16,
        learning_rate=2e-3,
        timbre_weight=0.4,
        max_notes=128,
        workers=8,
        mixing=Mixing(clip_s=8.0, parts=(0.15, 0.25, 0.25, 0.22, 0.13)),
    ),
    "basic-pitch": Training(network="basic-pitch"),
    # A clip holds three segments of 2.04 s, and some room to begin the first anywhere.
    "sequence-tiny": Training(
        network="sequence-tiny",
        optimizer="adamw",
        learning_rate=1e-3,
        warm_up=300,
        batch_size=8,
        mixing=Mixing(clip_s=6.5, parts=(0.2, 0.3, 0.25, 0.15, 0.1)),
    ),
    "sequence-small": Training(
        network="sequence-small",
        optimizer="adamw",
        learning_rate=3e-4,
        warm_up=2000,
        steps=200_000,
        batch_size=32,
        workers=12,
        mixing=Mixing(clip_s=6.5, parts=(0.15, 0.27, 0.25, 0.21, 0.12)),
    ),
}


def front_end_of(settings: Training) -> FrontEnd:
    """The front end of the network that these settings train."""
    return FrontEnd(normalisation=settings.normalisation)


def network_of(settings: Training) -> Network:
    """The network that these settings train."""
    network = {**NETWORKS, **BASELINES}[settings.network]
    memory, phase = settings.memory, settings.phase
    return replace(
        network,
        memory=network.memory if memory is None else memory,
        phase=network.phase if phase is None else phase,
        learned_front_end=settings.learn_front_end,
    )
