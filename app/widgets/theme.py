"""Colours and shapes of the window: two sets of tokens, the style made from them, and the card they are used on.

Light and dark follow the system unless the user chose one. Text keeps a contrast of at least 4.5:1 on every surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QFont, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication, QFrame, QLabel, QScrollArea, QStyleFactory, QVBoxLayout, QWidget

Choice = Literal["system", "light", "dark"]

GRID = 8  # px; margins and gaps are multiples of it, a card's padding is 12
LEFT_WIDTH = 304
RIGHT_WIDTH = 360

# Okabe and Ito's set, ordered so that neighbours differ in lightness too; readable on both card colours.
_CURVES_ON_LIGHT = ("#0072b2", "#d55e00", "#b88600", "#009e73", "#cc79a7", "#4a4f5a", "#56b4e9")
_CURVES_ON_DARK = ("#56b4e9", "#f0743a", "#f0c33c", "#2fc59a", "#e59bc4", "#c3c8d0", "#4c8fd6")


@dataclass(frozen=True)
class Theme:
    """Colours as "#rrggbb"; `curves` are told apart by people who are colour-blind, `track` is a slider's groove."""

    is_dark: bool
    background: str
    card: str
    line: str
    text: str
    dim: str
    accent: str
    on_accent: str
    good: str
    warn: str
    field: str
    track: str
    image: str  # behind pictures
    curves: tuple[str, ...]


@lru_cache(maxsize=1)
def light() -> Theme:
    """The light tokens; green and amber are darker than on the drawing so that words in them can be read."""
    return Theme(
        is_dark=False,
        background="#f3f4f6",
        card="#ffffff",
        line="#d9dde3",
        text="#1d2330",
        dim="#667085",
        accent="#1f6fd1",
        on_accent="#ffffff",
        good="#187a4f",
        warn="#8f5e12",
        field="#ffffff",
        track="#d9dde3",
        image="#f3f4f6",
        curves=_CURVES_ON_LIGHT,
    )


@lru_cache(maxsize=1)
def dark() -> Theme:
    """The dark tokens; words on the lighter blue of the primary button are dark."""
    return Theme(
        is_dark=True,
        background="#1c1f24",
        card="#2a2f37",
        line="#363c46",
        text="#e6e8eb",
        dim="#9aa3af",
        accent="#4c9be8",
        on_accent="#0f1720",
        good="#4fb286",
        warn="#e0a84c",
        field="#22262d",
        track="#434a56",
        image="#1c1f24",
        curves=_CURVES_ON_DARK,
    )


def system(app: QApplication) -> Theme:
    """The theme that the desktop asks for; light where it does not say."""
    return dark() if app.styleHints().colorScheme() == Qt.ColorScheme.Dark else light()


def tokens() -> Theme:
    """The tokens that the application's palette was made of, to paint with; Qt paints again when it changes."""
    return dark() if QGuiApplication.palette().window().color().lightnessF() < 0.5 else light()


class Recolours:
    """Mixed into a widget that colours what neither palette nor style sheet reaches, such as curves and signs.

    `recolour` does that; it is called again when the palette changes, or the window moves to a screen of other pixels.
    """

    def event(self, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.DevicePixelRatioChange):
            self.recolour()
        return super().event(event)


def chosen(app: QApplication, choice: Choice) -> Theme:
    """The theme of the user's choice."""
    return {"light": light, "dark": dark}[choice]() if choice in ("light", "dark") else system(app)


def apply(app: QApplication, theme: Theme) -> None:
    """Gives `app` the Fusion style and the palette of `theme`, and every window that is dressed its style sheet."""
    if app.style().name() != "fusion":
        app.setStyle(QStyleFactory.create("Fusion"))
    app.setPalette(_palette(theme))
    for window in app.topLevelWidgets():
        if window.styleSheet():
            dress(window)


def dress(window: QWidget) -> None:
    """Gives a window, and all that belongs to it, the style sheet of the theme that the application wears.

    Last of all: what is put together under a style sheet is polished again with everything that it is put into, which
    takes three times as long.
    """
    window.setStyleSheet(_style_sheet(tokens()))


def card(title: str) -> tuple[QFrame, QVBoxLayout]:
    """An empty card and the column to put things into; with an empty `title` it has no heading."""
    frame = QFrame()
    frame.setObjectName("card")
    frame.setAccessibleName(title)
    column = QVBoxLayout(frame)
    column.setContentsMargins(12, 12, 12, 12)
    column.setSpacing(GRID)
    if title:
        heading = QLabel(title)
        heading.setObjectName("heading")
        column.addWidget(heading)
    return frame, column


def column(*cards: QWidget, width: int) -> QScrollArea:
    """Cards below each other, `width` pixels wide, and GRID pixels for the bar that scrolls them in a low window."""
    body = QWidget()
    body.setObjectName("column")
    body.setMaximumWidth(width)  # nothing in a card may push its right edge out of sight
    rows = QVBoxLayout(body)
    rows.setContentsMargins(0, 0, 0, 0)
    rows.setSpacing(GRID)
    for widget in cards:
        rows.addWidget(widget)
    rows.addStretch(1)
    area = QScrollArea()
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # what is in it takes the focus, and comes into sight
    area.setWidget(body)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFixedWidth(width + GRID)
    return area


def tabular(font: QFont) -> QFont:
    """`font` with figures of one width, so that changing numbers do not jump."""
    font = QFont(font)
    font.setFeature(QFont.Tag("tnum"), 1)
    return font


def _palette(theme: Theme) -> QPalette:
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: theme.background,
        QPalette.ColorRole.WindowText: theme.text,
        QPalette.ColorRole.Base: theme.field,
        QPalette.ColorRole.AlternateBase: theme.background,
        QPalette.ColorRole.Text: theme.text,
        QPalette.ColorRole.Button: theme.card,
        QPalette.ColorRole.ButtonText: theme.text,
        QPalette.ColorRole.BrightText: theme.on_accent,
        QPalette.ColorRole.ToolTipBase: theme.card,
        QPalette.ColorRole.ToolTipText: theme.text,
        QPalette.ColorRole.PlaceholderText: theme.dim,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: theme.on_accent,
        QPalette.ColorRole.Accent: theme.accent,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.Mid: theme.line,
        QPalette.ColorRole.Midlight: theme.line,
        QPalette.ColorRole.Light: theme.card,
        QPalette.ColorRole.Dark: theme.line,
    }
    for role, colour in roles.items():
        palette.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.dim))
    return palette


def _style_sheet(theme: Theme) -> str:
    hover = theme.background if not theme.is_dark else theme.line
    return f"""
    QMainWindow, QDialog {{ background: {theme.background}; }}
    QFrame#card {{ background: {theme.card}; border: 1px solid {theme.line}; border-radius: 8px; }}
    QFrame#tour {{ background: {theme.card}; border: 1px solid {theme.dim}; border-radius: 8px; }}
    QFrame#card QLabel, QFrame#tour QLabel {{ background: transparent; }}
    QLabel#heading {{ font-weight: 600; }}
    QLabel#title {{ font-weight: 600; font-size: 15pt; }}
    QLabel#dim {{ color: {theme.dim}; }}
    QLabel#good {{ color: {theme.good}; font-weight: 600; }}
    QLabel#warn {{ color: {theme.warn}; }}
    QLabel#note {{ color: {theme.accent}; }}
    QPushButton {{ background: {theme.card}; border: 1px solid {theme.line}; border-radius: 6px;
        padding: 4px 12px; min-height: 20px; }}
    QPushButton:hover {{ background: {hover}; }} QPushButton[is_tight="true"] {{ padding: 4px; }}
    QPushButton:pressed {{ background: {theme.line}; }}
    QPushButton:focus {{ border-color: {theme.accent}; }}
    QPushButton:checked {{ background: {theme.accent}; border-color: {theme.accent}; color: {theme.on_accent}; }}
    QPushButton:disabled {{ color: {theme.dim}; background: {theme.background}; }}
    QPushButton#primary {{ background: {theme.accent}; border-color: {theme.accent}; color: {theme.on_accent};
        font-weight: 600; min-height: 24px; }}
    QPushButton#primary:hover {{ background: {QColor(theme.accent).lighter(110).name()}; }}
    QPushButton#primary:focus {{ border-color: {theme.text}; }}
    QPushButton#primary:disabled {{ background: {theme.line}; border-color: {theme.line}; color: {theme.dim}; }}
    QPushButton#link {{ background: transparent; border: none; padding: 2px 0; color: {theme.accent};
        text-align: left; }}
    QPushButton#link:hover {{ text-decoration: underline; }}
    QPushButton#option {{ border-radius: 8px; padding: 0; text-align: left; }}
    QPushButton#option:checked {{ background: {theme.card}; border: 2px solid {theme.accent}; color: {theme.text}; }}
    QPushButton#row {{ background: transparent; border: none; border-radius: 6px; padding: 4px 6px;
        text-align: left; }}
    QPushButton#row:hover {{ background: {hover}; }}
    QPushButton#row:focus {{ background: {hover}; border: 1px solid {theme.accent}; padding: 3px 5px; }}
    QPushButton#row:disabled {{ color: {theme.dim}; }}
    QComboBox, QSpinBox, QLineEdit {{ min-height: 24px; }}
    QLineEdit {{ padding-left: 4px; }}
    QProgressBar {{ background: {theme.track}; border: none; border-radius: 3px; max-height: 6px; }}
    QProgressBar::chunk {{ background: {theme.accent}; border-radius: 3px; }}
    QSlider::groove:horizontal {{ background: {theme.track}; height: 4px; border-radius: 2px; }}
    QSlider::sub-page:horizontal {{ background: {theme.accent}; height: 4px; border-radius: 2px; }}
    QSlider::handle:horizontal {{ background: {theme.accent}; width: 14px; margin: -5px 0; border-radius: 7px; }}
    QSlider::handle:horizontal:disabled, QSlider::sub-page:horizontal:disabled {{ background: {theme.line}; }}
    QHeaderView {{ font-weight: 400; }}
    QHeaderView::section {{ background: {theme.background}; color: {theme.dim}; border: none; padding: 4px 2px;
        font-weight: 400; }}
    QScrollBar {{ background: transparent; border: none; }}
    QScrollBar:horizontal {{ height: 8px; }}
    QScrollBar:vertical {{ width: 8px; }}
    QScrollBar::handle {{ background: {theme.track}; border-radius: 4px; min-width: 24px; min-height: 24px; }}
    QScrollBar::handle:hover {{ background: {theme.dim}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    QToolButton {{ border: 1px solid transparent; border-radius: 6px; padding: 4px; background: transparent; }}
    QToolButton:hover {{ background: {hover}; border-color: {theme.line}; }}
    QTreeView#library::item {{ padding: 0 6px; height: 26px; }}
    QTreeView#library QHeaderView::section {{ padding: 4px 6px; background: {theme.card}; }}
    QTableView#changes QHeaderView, QTableView#changes QHeaderView::section,
    QTableView#changes QTableCornerButton::section {{ background: {theme.card}; }}
    QPlainTextEdit#note {{ background: {theme.field}; border: 1px solid {theme.line}; border-radius: 6px; }}
    QToolButton#tick {{ border-color: {theme.line}; padding: 2px; min-width: 18px; color: {theme.dim};
        text-decoration: line-through; }}
    QToolButton#tick:checked {{ background: {theme.background}; color: {theme.text}; text-decoration: none; }}
    QToolButton:focus {{ border-color: {theme.accent}; }}
    QTableView, QTableWidget, QPlainTextEdit, QTextBrowser, QTreeView {{ background: {theme.card}; border: none;
        gridline-color: {theme.line}; selection-background-color: {theme.accent};
        selection-color: {theme.on_accent}; }}
    QTableCornerButton::section {{ background: {theme.background}; border: none; }}
    QListView#pages::item {{ padding: 0 6px; height: 28px; }}
    QListView#bare, QListView#pages, QScrollArea, QScrollArea > QWidget > QWidget#column {{
        background: transparent; border: none; }}
    QStatusBar {{ background: {theme.background}; color: {theme.dim}; border-top: 1px solid {theme.line}; }}
    QStatusBar QLabel {{ color: {theme.dim}; }}
    QStatusBar::item {{ border: none; }}
    QMenuBar {{ background: {theme.background}; }}
    QToolTip {{ background: {theme.card}; color: {theme.text}; border: 1px solid {theme.line}; padding: 4px; }}
    QSplitter::handle {{ background: transparent; }}
    """
