// The General MIDI sounds, by family, in each language.

const EN: [string, string][] = [
  ["Piano", "Grand piano|Bright piano|Electric grand|Honky-tonk|Electric piano 1|Electric piano 2|Harpsichord|Clavinet"],
  ["Chromatic percussion", "Celesta|Glockenspiel|Music box|Vibraphone|Marimba|Xylophone|Tubular bells|Dulcimer"],
  ["Organ", "Drawbar organ|Percussive organ|Rock organ|Church organ|Reed organ|Accordion|Harmonica|Bandoneon"],
  ["Guitar", "Nylon guitar|Steel guitar|Jazz guitar|Clean guitar|Muted guitar|Overdriven guitar|Distortion guitar|Guitar harmonics"],
  ["Bass", "Acoustic bass|Fingered bass|Picked bass|Fretless bass|Slap bass 1|Slap bass 2|Synth bass 1|Synth bass 2"],
  ["Strings", "Violin|Viola|Cello|Contrabass|Tremolo strings|Pizzicato strings|Harp|Timpani"],
  ["Ensemble", "String ensemble 1|String ensemble 2|Synth strings 1|Synth strings 2|Choir aahs|Voice oohs|Synth voice|Orchestra hit"],
  ["Brass", "Trumpet|Trombone|Tuba|Muted trumpet|French horn|Brass section|Synth brass 1|Synth brass 2"],
  ["Reed", "Soprano sax|Alto sax|Tenor sax|Baritone sax|Oboe|English horn|Bassoon|Clarinet"],
  ["Pipe", "Piccolo|Flute|Recorder|Pan flute|Blown bottle|Shakuhachi|Whistle|Ocarina"],
  ["Synth lead", "Square|Sawtooth|Calliope|Chiff|Charang|Voice|Fifths|Bass and lead"],
  ["Synth pad", "New age|Warm|Polysynth|Choir|Bowed|Metallic|Halo|Sweep"],
  ["Synth effects", "Rain|Soundtrack|Crystal|Atmosphere|Brightness|Goblins|Echoes|Sci-fi"],
  ["World", "Sitar|Banjo|Shamisen|Koto|Kalimba|Bagpipe|Fiddle|Shanai"],
  ["Percussive", "Tinkle bell|Agogo|Steel drums|Woodblock|Taiko|Melodic tom|Synth drum|Reverse cymbal"],
  ["Sound effects", "Fret noise|Breath noise|Seashore|Bird|Telephone|Helicopter|Applause|Gunshot"],
];

const ZH: [string, string][] = [
  ["钢琴", "大钢琴|明亮钢琴|电三角钢琴|酒吧钢琴|电钢琴 1|电钢琴 2|羽管键琴|击弦古钢琴"],
  ["音高打击乐", "钢片琴|钟琴|八音盒|颤音琴|马林巴|木琴|管钟|扬琴"],
  ["风琴", "拉杆风琴|打击风琴|摇滚风琴|教堂管风琴|簧片风琴|手风琴|口琴|班多钮琴"],
  ["吉他", "尼龙弦吉他|钢弦吉他|爵士吉他|清音吉他|闷音吉他|过载吉他|失真吉他|吉他泛音"],
  ["贝斯", "原声贝斯|指弹贝斯|拨片贝斯|无品贝斯|拍弦贝斯 1|拍弦贝斯 2|合成贝斯 1|合成贝斯 2"],
  ["弦乐", "小提琴|中提琴|大提琴|低音提琴|震音弦乐|拨奏弦乐|竖琴|定音鼓"],
  ["合奏", "弦乐合奏 1|弦乐合奏 2|合成弦乐 1|合成弦乐 2|合唱“啊”|人声“喔”|合成人声|乐队齐奏"],
  ["铜管", "小号|长号|大号|弱音小号|圆号|铜管组|合成铜管 1|合成铜管 2"],
  ["簧管", "高音萨克斯|中音萨克斯|次中音萨克斯|上低音萨克斯|双簧管|英国管|大管|单簧管"],
  ["笛", "短笛|长笛|竖笛|排箫|吹瓶|尺八|口哨|陶笛"],
  ["合成主音", "方波|锯齿波|汽笛风琴|吹管|恰朗|人声|五度|贝斯与主音"],
  ["合成铺底", "新世纪|温暖|复音合成|合唱|弓弦|金属|光环|扫频"],
  ["合成效果", "雨|音轨|水晶|氛围|明亮|小妖|回声|科幻"],
  ["民族", "西塔琴|班卓琴|三味线|筝|卡林巴|风笛|民间提琴|山奈"],
  ["打击", "铃铛|阿哥哥铃|钢鼓|木鱼|太鼓|旋律鼓|合成鼓|反镲"],
  ["音效", "品丝噪声|呼吸声|海浪|鸟鸣|电话|直升机|掌声|枪声"],
];

export const programs = (language: string): [string, [number, string][]][] =>
  (language === "zh" ? ZH : EN).map(([family, names], f) => [
    family,
    names.split("|").map((name, i) => [f * 8 + i, name]),
  ]);
