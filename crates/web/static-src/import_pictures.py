#!/usr/bin/env python3
"""Draws the pictures of the import steps: ../static/import/step{1..8}-{ja,en}.svg.

Run it without arguments after changing a word or a shape; the same input gives the same bytes. The drawings are our own: plain
window frames that show where things are, not copies of anybody's artwork. They must stay readable at 480 px (three quarters of
their size), so no letter is smaller than 18 units. Only presentation attributes are used, no style elements, because the
portal's Content-Security-Policy refuses inline styles.

Two kinds of marks: a numbered orange ring with a label is something to press, in that order; a dashed green frame with a label
is something to leave as it is.
"""

from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 400
FACES = "'BIZ UDPGothic','Hiragino Sans',Meiryo,'Noto Sans JP','Noto Sans CJK JP',sans-serif"
PLAIN_FACES = "Consolas,Menlo,'BIZ UDGothic','Noto Sans Mono CJK JP',monospace"

GROUND, FRAME, TITLE_BAR, PAPER = "#e9edf1", "#5d6873", "#dfe5ea", "#ffffff"
INK, SOFT, BLUE, BLUE_SOFT = "#1f2933", "#4b5763", "#1d4f83", "#d7e6f5"
PRESS, KEEP = "#b8400a", "#1b6537"  # 5.6:1 and 7.1:1 on white

PLAIN_STEP = 10.6  # so that the line under the first digits fits whichever face the reader has

FILE_NAME = "103001_JP_u00000001_client001.p12"

WORDS = {
    "ja": {
        "next": "次へ(N)", "cancel": "キャンセル", "finish": "完了(F)", "ok": "OK",
        "press": "押す", "keep": "このまま", "wizard": "証明書のインポート ウィザード",
        "1.title": "ダウンロードしたファイルをダブルクリック",
        "1.desc": f"「ダウンロード」フォルダーにある {FILE_NAME} をダブルクリックします。",
        "1.window": "ダウンロード", "1.desktop": "デスクトップ", "1.documents": "ドキュメント", "1.name": "名前",
        "1.do": "ダブルクリック",
        "2.title": "保存場所は「現在のユーザー」のまま「次へ」",
        "2.desc": "証明書のインポートウィザード。保存場所は「現在のユーザー」が選ばれています。「次へ」を押します。",
        "2.head": "証明書のインポート ウィザードの開始", "2.group": "保存場所",
        "2.user": "現在のユーザー(C)", "2.machine": "ローカル コンピューター(L)",
        "3.title": "ファイル名は入力済み。そのまま「次へ」",
        "3.desc": "インポートする証明書ファイル。ファイル名は入っています。「次へ」を押します。",
        "3.head": "インポートする証明書ファイル", "3.lead": "インポートするファイルを指定してください。",
        "3.label": "ファイル名(F):", "3.browse": "参照(R)...", "3.keep": "入力済み・このまま",
        "4.title": "パスワードを貼り付けて「次へ」",
        "4.desc": "秘密キーの保護。パスワード欄に貼り付けます。下のオプションは変えません。"
                  "「秘密キーの保護を強力にする」にはチェックを入れません。「次へ」を押します。",
        "4.head": "秘密キーの保護", "4.label": "パスワード(P):", "4.paste": "貼り付け Ctrl+V",
        "4.show": "パスワードの表示(D)", "4.strong": "秘密キーの保護を強力にする(E)",
        "4.export": "このキーをエクスポート可能にする(M)", "4.all": "すべての拡張プロパティを含める(A)",
        "4.keep": "変えない",
        "5.title": "証明書ストアは「自動的に選択」のまま「次へ」",
        "5.desc": "証明書ストア。「証明書の種類に基づいて、自動的に証明書ストアを選択する」のまま「次へ」を押します。",
        "5.head": "証明書ストア", "5.auto": ["証明書の種類に基づいて、自動的に", "証明書ストアを選択する(U)"],
        "5.place": ["証明書をすべて次のストアに配置する(P)"],
        "6.title": "「完了」を押す", "6.desc": "証明書のインポートウィザードの完了。「完了」を押します。",
        "6.head": "証明書のインポート ウィザードの完了", "6.lead": "[完了] を押すと、証明書がインポートされます。",
        "6.rows": [("証明書ストア", "自動"), ("内容", "PFX"), ("ファイル名", FILE_NAME)],
        "7.title": "「正しくインポートされました。」と出たら「OK」",
        "7.desc": "「正しくインポートされました。」というメッセージが出ます。「OK」を押します。",
        "7.message": "正しくインポートされました。",
        "8.title": "証明書の選択では、上の新しい方が選ばれている。そのまま「OK」",
        "8.desc": "ブラウザーの証明書の選択画面。同じ名前が2行並びます。シリアル番号の先頭8けたが有効期限です。"
                  "上の行は2029年11月22日まで（新しい方、選択済み）、下の行は2026年12月23日まで（古い方）。「OK」を押します。",
        "8.head": "証明書の選択", "8.lead": "このサイトへの接続に使う証明書を選択してください",
        "8.columns": ["件名", "発行元", "シリアル番号"],
        "8.new": "2029年11月22日まで（新しい方）", "8.old": "2026年12月23日まで（古い方）", "8.info": "証明書情報",
    },
    "en": {
        "next": "Next", "cancel": "Cancel", "finish": "Finish", "ok": "OK",
        "press": "Click", "keep": "Leave as is", "wizard": "Certificate Import Wizard",
        "1.title": "Double-click the downloaded file",
        "1.desc": f"In the Downloads folder, double-click {FILE_NAME}.",
        "1.window": "Downloads", "1.desktop": "Desktop", "1.documents": "Documents", "1.name": "Name",
        "1.do": "Double-click",
        "2.title": "Leave Store Location at Current User and click Next",
        "2.desc": "Certificate Import Wizard. Store Location is already set to Current User. Click Next.",
        "2.head": "Welcome to the Certificate Import Wizard", "2.group": "Store Location",
        "2.user": "Current User", "2.machine": "Local Machine",
        "3.title": "The file name is filled in. Click Next",
        "3.desc": "File to Import. The file name is already there. Click Next.",
        "3.head": "File to Import", "3.lead": "Specify the file you want to import.",
        "3.label": "File name:", "3.browse": "Browse...", "3.keep": "Filled in: leave as is",
        "4.title": "Paste the password and click Next",
        "4.desc": "Private key protection. Paste into the password field. Leave the options below as they are; "
                  "do not tick Enable strong private key protection. Click Next.",
        "4.head": "Private key protection", "4.label": "Password:", "4.paste": "Paste: Ctrl+V",
        "4.show": "Display Password", "4.strong": "Enable strong private key protection",
        "4.export": "Mark this key as exportable", "4.all": "Include all extended properties",
        "4.keep": "Leave as is",
        "5.title": "Leave the certificate store on automatic and click Next",
        "5.desc": "Certificate Store. Leave Automatically select the certificate store based on the type of certificate. Click Next.",
        "5.head": "Certificate Store", "5.auto": ["Automatically select the certificate store", "based on the type of certificate"],
        "5.place": ["Place all certificates in the following store"],
        "6.title": "Click Finish", "6.desc": "Completing the Certificate Import Wizard. Click Finish.",
        "6.head": "Completing the Certificate Import Wizard", "6.lead": "The certificate is imported when you click Finish.",
        "6.rows": [("Certificate store", "Automatic"), ("Content", "PFX"), ("File name", FILE_NAME)],
        "7.title": "“The import was successful.” Click OK",
        "7.desc": "A message says: The import was successful. Click OK.",
        "7.message": "The import was successful.",
        "8.title": "In the certificate chooser the newer one, on top, is selected. Just click OK",
        "8.desc": "The browser's certificate chooser. Two rows have the same name. The first 8 digits of the serial are the "
                  "expiry date. Upper row: until 22 November 2029 (new, selected). Lower row: until 23 December 2026 (old). "
                  "Click OK.",
        "8.head": "Select a certificate", "8.lead": "Select a certificate to connect to this site",
        "8.columns": ["Subject", "Issuer", "Serial"],
        "8.new": "until 22 Nov 2029 (new)", "8.old": "until 23 Dec 2026 (old)", "8.info": "Certificate info",
    },
}


def width_of(words, size):
    """A generous guess of how wide the words become: full-width letters are one em, the others at most 0.62."""
    return size * sum(1.0 if ord(letter) > 0x2E7F or letter == "…" else 0.62 for letter in words)


class Picture:
    """Collects the shapes of one picture. `texts` keeps each text with the room it has, so that a check can measure it."""

    def __init__(self, language, step):
        self.language, self.step = language, step
        self.words = WORDS[language]
        self.shapes, self.texts = [], []

    def word(self, key):
        """The words of this step, or the shared ones."""
        return self.words.get(f"{self.step}.{key}") or self.words[key]

    def rect(self, x, y, w, h, fill=PAPER, stroke=FRAME, line=1.5, radius=3, dash=None):
        dashed = f' stroke-dasharray="{dash}"' if dash else ""
        self.shapes.append(f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{radius:g}" fill="{fill}" '
                           f'stroke="{stroke}" stroke-width="{line:g}"{dashed}/>')

    def path(self, d, fill="none", stroke=FRAME, line=2):
        self.shapes.append(f'<path d="{d}" fill="{fill}" stroke="{stroke}" stroke-width="{line:g}" '
                           'stroke-linecap="round" stroke-linejoin="round"/>')

    def circle(self, x, y, r, fill=PAPER, stroke=FRAME, line=1.5):
        self.shapes.append(f'<circle cx="{x:g}" cy="{y:g}" r="{r:g}" fill="{fill}" stroke="{stroke}" stroke-width="{line:g}"/>')

    def text(self, x, y, words, room, size=20, fill=INK, bold=False, anchor="start", plain=False):
        """Words whose baseline is `y`, with `room` units of width to stay within. Plain ones get PLAIN_STEP units per letter."""
        self.texts.append({"words": words, "room": room, "size": size, "bold": bold, "plain": plain})
        weight = ' font-weight="700"' if bold else ""
        middle = f' text-anchor="{anchor}"' if anchor != "start" else ""
        face = f' font-family="{PLAIN_FACES}" textLength="{PLAIN_STEP * len(words):g}"' if plain else ""
        self.shapes.append(f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}"{weight}{middle}{face}>'
                           f"{escape(words)}</text>")

    def svg(self):
        title, desc = escape(self.word("title")), escape(self.word("desc"))
        body = "\n  ".join(self.shapes)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
                f'role="img" aria-labelledby="title desc" xml:lang="{self.language}" font-family="{FACES}">\n'
                f'  <title id="title">{title}</title>\n  <desc id="desc">{desc}</desc>\n  {body}\n</svg>\n')


# ---------- parts of a window ----------

def ground(p):
    p.rect(0, 0, WIDTH, HEIGHT, fill=GROUND, stroke="none", line=0, radius=0)


def window(p, x, y, w, h, title):
    """A window frame with a title and the sign that closes it."""
    p.rect(x, y, w, h, line=2, radius=8)
    p.path(f"M{x + 1} {y + 40}V{y + 9}a8 8 0 0 1 8-8H{x + w - 9}a8 8 0 0 1 8 8V{y + 40}Z", fill=TITLE_BAR, stroke="none", line=0)
    p.path(f"M{x} {y + 40}H{x + w}", line=1.5)
    p.text(x + 18, y + 28, title, room=w - 80, size=19, fill=SOFT)
    p.path(f"M{x + w - 32} {y + 14}l13 13m0-13-13 13", stroke=SOFT)


def button(p, x, y, w, label, main=False):
    """A button 40 high; the main one has the stronger border."""
    p.rect(x, y, w, 40, fill=BLUE_SOFT if main else "#f3f5f7", stroke=BLUE if main else FRAME, line=2.5 if main else 1.5, radius=5)
    p.text(x + w / 2, y + 27, label, room=w - 12, size=20, bold=main, anchor="middle")


def wizard(p, heading, last=False):
    """The import wizard's frame with its two buttons at the bottom; the first one is to be pressed."""
    ground(p)
    window(p, 24, 14, 592, 372, p.word("wizard"))
    p.path("M25 318H615V378a7 7 0 0 1-7 7H32a7 7 0 0 1-7-7Z", fill="#f3f5f7", stroke="none", line=0)
    p.path("M24 318H616", stroke="#b8c1ca", line=1.5)
    p.text(48, 90, heading, room=550, size=22, bold=True, fill=BLUE)
    button(p, 300, 332, 140, p.word("finish" if last else "next"), main=True)
    button(p, 462, 332, 136, p.word("cancel"))


def radio(p, x, y, lines, chosen):
    p.circle(x, y - 7, 11, stroke=BLUE if chosen else FRAME, line=2.5)
    if chosen:
        p.circle(x, y - 7, 5.5, fill=BLUE, stroke="none", line=0)
    for index, line in enumerate(lines):
        p.text(x + 24, y + 28 * index, line, room=WIDTH - 60 - x - 24)


def checkbox(p, x, y, label, room, ticked=False):
    p.rect(x, y - 17, 20, 20, fill=BLUE if ticked else PAPER, stroke=BLUE if ticked else FRAME, line=2)
    if ticked:
        p.path(f"M{x + 4} {y - 7}l5 5 8-10", stroke=PAPER, line=3)
    p.text(x + 30, y, label, room=room, size=19)


# ---------- marks ----------

def label(p, x, y, words, colour, number=None, solid=True):
    """A label 34 high whose left end is x and whose middle is y. Returns its width."""
    w = width_of(words, 18) + (50 if number else 24)
    p.rect(x, y - 17, w, 34, fill=PAPER, stroke=colour, line=2.5, radius=17, dash=None if solid else "7 5")
    start = x + 12
    if number:
        p.circle(x + 17, y, 17, fill=colour, stroke=PAPER, line=2)
        p.text(x + 17, y + 7.5, str(number), room=24, size=21, fill=PAPER, bold=True, anchor="middle")
        start = x + 38
    end = x + w - 10
    p.text((start + end) / 2, y + 6.5, words, room=end - start + 8, size=18, bold=True, fill=colour, anchor="middle")
    return w


def press(p, x, y, w, h, number, words, at):
    """The numbered ring around something to press, its label beginning at `at`."""
    p.rect(x, y, w, h, fill="none", stroke=PAPER, line=11, radius=12)
    p.rect(x, y, w, h, fill="none", stroke=PRESS, line=6, radius=12)
    label(p, at[0], at[1], words, PRESS, number=number)


def pointer(p, x, y):
    """A mouse pointer whose tip is at x, y."""
    p.path(f"M{x} {y}l0 30 7-6 6 14 6-3-6-13h10Z", fill=INK, stroke=PAPER, line=2)


def keep(p, x, y, w, h, words, at):
    """The dashed frame around something to leave as it is."""
    p.rect(x, y, w, h, fill="none", stroke=KEEP, line=3, radius=8, dash="9 6")
    label(p, at[0], at[1], words, KEEP, solid=False)


def press_first_button(p, number=1):
    """The ring around the wizard's button at the bottom, with its label to the left."""
    words = p.word("press")
    press(p, 293, 325, 154, 54, number, words, at=(293 - width_of(words, 18) - 62, 352))
    pointer(p, 418, 360)


# ---------- the eight pictures ----------

def step1(p):
    ground(p)
    window(p, 24, 14, 592, 372, p.word("window"))
    p.rect(25, 55, 148, 330, fill="#f3f5f7", stroke="none", line=0, radius=0)
    for index, name in enumerate([p.word("desktop"), p.word("window"), p.word("documents")]):
        y = 96 + 46 * index
        if index == 1:
            p.rect(30, y - 27, 138, 40, fill=BLUE_SOFT, stroke="none", line=0, radius=5)
        p.text(42, y, name, room=128, size=19, bold=index == 1)
    p.path("M173 55V385M173 112H616", stroke="#b8c1ca", line=1.5)
    p.text(196, 92, p.word("name"), room=200, size=19, fill=SOFT)
    p.rect(184, 140, 420, 56, fill=BLUE_SOFT, stroke="none", line=0, radius=5)
    p.path("M198 150h18l10 10v28h-28Z", fill=PAPER, line=2)
    p.circle(212, 172, 6, fill="#dcab6e", stroke="#6f421a", line=2)
    p.path("M212 178v8", stroke="#6f421a", line=3)
    p.text(232, 175, FILE_NAME, room=372, size=18, bold=True)
    press(p, 180, 134, 428, 68, 1, p.word("do"), at=(250, 250))
    p.path("M300 232V208", stroke=PRESS, line=5)
    pointer(p, 520, 180)


def step2(p):
    wizard(p, p.word("head"))
    p.text(48, 148, p.word("group"), room=400, size=20, fill=SOFT)
    radio(p, 72, 200, [p.word("user")], chosen=True)
    radio(p, 72, 262, [p.word("machine")], chosen=False)
    right = 96 + width_of(p.word("user"), 20) + 14
    keep(p, 52, 170, right - 52, 46, p.word("keep"), at=(right + 10, 193))
    press_first_button(p)


def step3(p):
    wizard(p, p.word("head"))
    p.text(48, 132, p.word("lead"), room=550)
    p.text(48, 184, p.word("label"), room=300, size=20)
    p.rect(48, 200, 418, 44)
    p.text(58, 229, FILE_NAME, room=400, size=19)
    button(p, 480, 202, 116, p.word("browse"))
    keep(p, 40, 192, 434, 60, p.word("keep"), at=(60, 278))
    press_first_button(p)


def step4(p):
    wizard(p, p.word("head"))
    p.text(48, 140, p.word("label"), room=142)
    p.rect(196, 113, 186, 42)
    for index in range(9):
        p.circle(212 + 17 * index, 134, 4.5, fill=INK, stroke="none", line=0)
    press(p, 190, 107, 198, 54, 1, p.word("paste"), at=(398, 134))
    for index, option in enumerate(["show", "strong", "export", "all"]):
        checkbox(p, 60, 200 + 32 * index, p.word(option), room=352, ticked=option == "all")
    keep(p, 46, 174, 402, 134, p.word("keep"), at=(458, 241))
    press_first_button(p, number=2)


def step5(p):
    wizard(p, p.word("head"))
    radio(p, 74, 154, p.word("auto"), chosen=True)
    radio(p, 74, 270, p.word("place"), chosen=False)
    right = min(602, 98 + max(width_of(line, 20) for line in p.word("auto")) + 8)
    keep(p, 52, 122, right - 52, 80, p.word("keep"), at=(70, 224))
    press_first_button(p)


def step6(p):
    wizard(p, p.word("head"), last=True)
    p.text(48, 130, p.word("lead"), room=550)
    p.rect(48, 152, 544, 132, stroke="#b8c1ca")
    for index, (name, value) in enumerate(p.word("rows")):
        p.text(62, 186 + 40 * index, name, room=160, size=18, fill=SOFT)
        p.text(228, 186 + 40 * index, value, room=356, size=18)
    press_first_button(p)


def step7(p):
    ground(p)
    window(p, 90, 80, 460, 236, p.word("wizard"))
    p.circle(146, 180, 22, fill=BLUE, stroke="none", line=0)
    p.circle(146, 170, 3, fill=PAPER, stroke="none", line=0)
    p.path("M146 179v12", stroke=PAPER, line=5)
    p.text(184, 188, p.word("message"), room=350, size=22)
    button(p, 390, 254, 136, p.word("ok"), main=True)
    words = p.word("press")
    press(p, 383, 247, 150, 54, 1, words, at=(383 - width_of(words, 18) - 62, 274))
    pointer(p, 500, 282)


def chooser_row(p, y, serial, chosen, note):
    """One row of the chooser: the same name, the same issuer, the serial that begins with the date."""
    if chosen:
        p.rect(36, y, 568, 42, fill=BLUE_SOFT, stroke=BLUE, line=2.5)
    p.text(48, y + 27, "JP_u00000001_client0001", room=250, size=18)
    p.text(310, y + 27, "Tegata CA", room=104, size=18)
    p.text(420, y + 27, serial, room=180, size=19, plain=True)
    p.path(f"M420 {y + 34}h{8 * PLAIN_STEP - 1:g}", stroke=KEEP, line=3.5)
    w = width_of(note, 18) + 24
    p.path(f"M462 {y + 36}v16", stroke=KEEP, line=2.5)
    label(p, 604 - w, y + 66, note, KEEP, solid=False)


def step8(p):
    ground(p)
    window(p, 20, 10, 600, 380, p.word("head"))
    p.text(38, 80, p.word("lead"), room=560, size=19)
    p.rect(34, 94, 572, 226, radius=0, stroke="#b8c1ca")
    p.rect(34, 94, 572, 34, fill="#f3f5f7", stroke="#b8c1ca", radius=0)
    for x, name, room in zip((48, 310, 420), p.word("columns"), (240, 100, 180)):
        p.text(x, 118, name, room=room, size=18, fill=SOFT)
    chooser_row(p, 132, "2029112218773", True, p.word("new"))
    chooser_row(p, 226, "20261223F8E89", False, p.word("old"))
    button(p, 340, 336, 110, p.word("ok"), main=True)
    button(p, 468, 336, 136, p.word("cancel"))
    words = p.word("press")
    press(p, 333, 329, 124, 54, 1, words, at=(333 - width_of(words, 18) - 62, 356))
    pointer(p, 426, 362)


STEPS = [step1, step2, step3, step4, step5, step6, step7, step8]


def draw(language, step):
    """One finished picture."""
    picture = Picture(language, step)
    STEPS[step - 1](picture)
    return picture


def main():
    folder = Path(__file__).resolve().parent.parent / "static" / "import"
    folder.mkdir(parents=True, exist_ok=True)
    for language in WORDS:
        for step in range(1, len(STEPS) + 1):
            (folder / f"step{step}-{language}.svg").write_text(draw(language, step).svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
