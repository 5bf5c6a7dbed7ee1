"""What the pieces say, in Chinese, by its English; a test keeps the table whole."""

ZH: dict[str, str] = {
    "Put your answer in place of the dots, and run the cell again.": "请把省略号换成你的答案，再运行一次这个单元格。",
    "{s:.2f} s": "{s:.2f} 秒",
}
