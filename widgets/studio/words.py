"""What the studio says: English stands in the code, the Chinese here by its English; a test keeps the table whole."""

from __future__ import annotations

from widgets.lessons.text import LANGUAGES, language, speak

__all__ = ["LANGUAGES", "language", "say", "speak"]

ZH: dict[str, str] = {
    "amtsep studio": "amtsep 工作室",
    "Corpus": "语料",
    "Genres": "曲风",
    "Fine-tuning": "微调",
    "Generation": "生成",
    "Back to the studio": "回到工作室",
    "Settings": "设置",
    "Cancel": "取消",
    "Stopped.": "已停止。",
    "{name} is not installed; run: pip install 'amtsep[studio]'": (
        "没有安装 {name}；请运行：pip install 'amtsep[studio]'"
    ),
    "This should not have happened ({error}).": "出了意料之外的错误（{error}）。",
    "writing": "正在写入",
    "Written: {where}": "已写入：{where}",
    # The table
    "Title": "曲名",
    "Genre": "曲风",
    "Part": "部分",
    "Time": "时间",
    "Tempo": "速度",
    "Key": "调",
    "Timbres": "音色",
    "Caption": "描述",
    "training": "训练",
    "validation": "验证",
    "test": "测试",
    "all parts": "全部",
    "Search": "搜索",
    "{n} clips": "{n} 个片段",
    "guess": "猜测",
    "corrected by hand": "已手工更正",
    "correct": "更正",
    "Page before": "上一页",
    "Next page": "下一页",
    # A clip
    "Open in the dashboard": "在仪表板中打开",
    "Transcribed, told apart into timbres, to tune, correct and export": "转写并分出音色，供调整、更正和导出",
    "heard: {n} notes, {t} timbres": "听到 {n} 个音符，{t} 种音色",
    "listening": "正在听",
    # Corpus
    "Corpus (folder)": "语料（文件夹）",
    "Open": "打开",
    "Make a corpus, or add to it": "制作语料，或添加内容",
    "MP3, WAV, FLAC, OGG, M4A, MIDI and MusicXML; genre/artist/title is read from the path.": (
        "MP3、WAV、FLAC、OGG、M4A、MIDI 和 MusicXML；曲风、艺人、曲名从路径读出。"
    ),
    "Recordings, scores (folders)": "录音、乐谱（文件夹）",
    "several are parted by ;": "多个之间用 ; 隔开",
    "Write tunes to try": "写入试用的曲子",
    "Hear tempo, key and timbres (takes longer)": "听出速度、调和音色（较慢）",
    "Length of a clip (s)": "片段长度（秒）",
    "Language of captions": "描述的语言",
    "Guess genres with": "用它猜曲风",
    "Make the corpus": "制作语料",
    "The caption is kept.": "描述已保存。",
    "Name a folder of recordings or scores.": "请写出录音或乐谱所在的文件夹。",
    "{m} minutes of {w} works": "{w} 部作品，共 {m} 分钟",
    "rendered from scores": "由乐谱合成",
    "looking": "正在查看",
    "cutting": "正在切分",
    "{n} clips of {w} works.": "{w} 部作品的 {n} 个片段。",
    "{n} duplicates were left out.": "略去了 {n} 个重复的文件。",
    "{n} files could not be used: {first}": "有 {n} 个文件不能用：{first}",
    "{n} tunes are in {where}; now make a corpus of them.": "{where} 里有了 {n} 首曲子；现在可以用它们制作语料。",
    "Stopped; what is done stays, and the next run goes on from there.": "已停止；做好的都留着，下次从那里接着做。",
    # Genres
    "A small network on MFCC, and beside it what any engineer would try first: a linear model on statistics. "
    "Works and artists stay on one side of the split.": (
        "一个基于 MFCC 的小网络，旁边是任何工程师都会先试的：基于统计量的线性模型。同一作品、同一艺人只在划分的一边。"
    ),
    "Classifiers (folder)": "分类器（文件夹）",
    "Epochs, at most": "最多轮数",
    "Seed": "随机种子",
    "Train on the corpus": "用语料训练",
    "Guess the genre of every clip": "猜每个片段的曲风",
    "Classifier": "分类器",
    "Right": "正确率",
    "Rejected": "拒答率",
    "Right of the rest": "其余的正确率",
    "Calibration error (before)": "校准误差（校准前）",
    "network": "网络",
    "baseline": "基线",
    "{part}: {n} clips of {g} works": "{part}：{g} 部作品的 {n} 个片段",
    "Rendered from scores: says nothing of real recordings.": "由乐谱合成：不能说明真实录音的情况。",
    "answers (across) by truth (down)": "回答（横）与真值（竖）",
    "Does a probability mean what it says?": "概率说到做到吗？",
    "Probability of the answer": "回答的概率",
    "Share that is right": "答对的比例",
    "perfect": "完美",
    "Guesses for {title}": "对《{title}》的猜测",
    "features": "特征",
    "epochs": "轮",
    "guessing": "正在猜",
    "{n} clips guessed, {u} of them too unsure to name.": "猜了 {n} 个片段，其中 {u} 个没有把握。",
    "Written: {model}, and the page {page}.": "已写入：{model}，以及页面 {page}。",
    # Fine-tuning
    "Network (name or folder)": "网络（名称或文件夹）",
    "Write a tiny random one to try": "写入一个试用的随机小网络",
    "The weights of facebook/musicgen-* are CC BY-NC 4.0: not for commercial use.": (
        "facebook/musicgen-* 的权重是 CC BY-NC 4.0：不可商用。"
    ),
    "What is learned (folder)": "学到的内容（文件夹）",
    "Steps": "步数",
    "Batch": "批大小",
    "Batches a step": "每步批数",
    "Rank": "秩",
    "Learning rate": "学习率",
    "The whole decoder, not low-rank additions (needs much memory)": "训练整个解码器，而不是低秩附加（需要大量内存）",
    "Train": "训练",
    "Go on": "继续",
    "From the last checkpoint": "从上一个检查点继续",
    "Step": "步",
    "Loss of a code": "每个码的损失",
    "A training that was started in a terminal into the same folder is drawn here too. "
    "One that was started here ends with the page: long ones belong into a terminal.": (
        "在终端里开始、写入同一文件夹的训练也会画在这里。页面里的训练随页面结束：长的训练请在终端里做。"
    ),
    "reading the network": "正在读取网络",
    "codes": "正在编码",
    "loss {loss}, {each} s a step": "损失 {loss}，每步 {each} 秒",
    "Stopped after step {n}; Go on continues from there.": "已在第 {n} 步停止；“继续”会从那里接着训练。",
    "{where} is a network of random weights: what it makes is noise.": "{where} 是随机权重的网络：它只会生成噪声。",
    # Generation
    "slow jazz, 80 beats a minute, in D minor": "slow jazz, 80 beats a minute, in D minor",
    "Write what the music should be like.": "请写出音乐应该是什么样的。",
    "Length (s)": "长度（秒）",
    "Led by the melody of (file)": "跟随旋律（文件）",
    "for networks that take a melody; empty: none": "用于能跟随旋律的网络；空着就不用",
    "The clip selected in the corpus": "语料中选中的片段",
    "Guidance by the text": "文本引导",
    "Temperature": "温度",
    "Top p": "Top p",
    "Top k": "Top k",
    "Generate": "生成",
    "Made so far": "已生成的",
    "seconds of music": "音乐秒数",
}


def say(english: str, **values: object) -> str:
    """The sentence in the chosen language (`speak`), with `values` filled in; what has no Chinese stays English."""
    text = ZH.get(english, english) if language() == "zh" else english
    return text.format(**values) if values else text
