// SoundFont 2 banks: see SoundFont Technical Specification 2.04. Filled in by `readBank`.
import type { Instrument } from "./synth";

export interface Bank {
  name: string;
  instrument: Instrument;
}
