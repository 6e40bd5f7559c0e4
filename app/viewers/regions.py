"""Points and regions on the panes: how they are painted, drawn, chosen, dragged and moved by keys.

One `RegionTools` serves any number of panes. It listens to their mouse and keys before they do, and lays a transparent
sheet over each, so that panes know nothing of regions.
"""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt
from PySide6.QtGui import (
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPainterPathStroker,
    QPaintEvent,
    QPen,
    QPolygonF,
)
from PySide6.QtWidgets import QWidget

from ..assembly import Parts
from ..document.regions import Region, Shape
from ..document.selection import MEASUREMENT
from ..widgets.theme import tokens
from .insets import paint_insets
from .panes import ARROWS, DRAG_STARTS, ENTER, FAR, ImagePane
from .pictures import Pictures

GRIP = 12  # px across; how near the mouse has to be to an outline
RADIUS = 5  # px of a point
OTHERS = 2  # curve colours that are taken: of the pinned pixel and of the mouse
REMOVE = (Qt.Key.Key_Delete, Qt.Key.Key_Backspace)

Point = tuple[float, float]  # (y, x) in pixels of the scene


def region_colour(number: int) -> str:
    """The colour of a region's marker and curve; its number tells it apart where colours come again."""
    colours = tokens().curves[OTHERS:]
    return colours[(number - 1) % len(colours)]


class RegionTools(QObject):
    """The tool in hand, what is being drawn or dragged with it, and the sheets on which all that is seen."""

    def __init__(self, parts: Parts, pictures: Pictures) -> None:
        super().__init__()
        self._parts, self._session, self._pictures = parts, parts.session, pictures
        self._sheets: list[_Sheet] = []
        self.draft: list[Point] = []  # the corners so far; the last one follows the mouse
        self.dragged: Region | None = None  # where the region in the hand is now
        self._taken: Region | None = None  # where it was
        self._pressed: QPointF | None = None
        self._answers = {
            QEvent.Type.MouseButtonPress: self._press,
            QEvent.Type.MouseMove: self._move,
            QEvent.Type.MouseButtonRelease: self._release,
            QEvent.Type.MouseButtonDblClick: self._double_click,
            QEvent.Type.ShortcutOverride: self._claim,
            QEvent.Type.KeyPress: self._key,
        }
        parts.regions.changed.connect(self.update)
        parts.regions.tool_changed.connect(self._tool_changed)

    def attach(self, pane: ImagePane, shows: Callable[[], object]) -> None:
        """Lets regions be seen and drawn on a pane; `shows` tells which stage, reference or measurement it shows."""
        self._sheets.append(_Sheet(pane, shows, self))

    def update(self) -> None:
        """Paints all sheets again."""
        for sheet in self._sheets:
            sheet.update()

    # ---- places --------------------------------------------------------------------------------------------------

    def point_at(self, pane: ImagePane, position: QPointF) -> Point:
        """(y, x) of the scene under a point of the widget; beside the picture, the nearest of it."""
        target, (height, width) = pane.target, self._parts.regions.size
        y = (position.y() - target.y()) / target.height() * height
        x = (position.x() - target.x()) / target.width() * width
        return min(max(y, 0.0), height), min(max(x, 0.0), width)

    def position_of(self, pane: ImagePane, point: Point) -> QPointF:
        """A point of the scene in coordinates of the widget."""
        target, (height, width) = pane.target, self._parts.regions.size
        return QPointF(target.x() + point[1] / width * target.width(), target.y() + point[0] / height * target.height())

    def region_at(self, pane: ImagePane, position: QPointF) -> Region | None:
        """The region whose outline lies under a point of the widget; of the chosen one the inside counts too."""
        regions = self._parts.regions
        stroker = QPainterPathStroker()
        stroker.setWidth(GRIP)
        for region in reversed(regions.all):
            path = self._path(pane, region.shape, region.corners)
            is_chosen = region.number == regions.chosen_number
            if stroker.createStroke(path).contains(position) or (
                (is_chosen or region.shape == "point") and path.contains(position)
            ):
                return region
        return None

    def _path(self, pane: ImagePane, shape: Shape, corners: tuple[Point, ...]) -> QPainterPath:
        path = QPainterPath()
        if shape == "point":
            (y, x), *_ = corners
            path.addEllipse(self.position_of(pane, (y + 0.5, x + 0.5)), RADIUS, RADIUS)
            return path
        positions = [self.position_of(pane, corner) for corner in corners]
        if shape == "polygon":
            path.addPolygon(QPolygonF([*positions, positions[0]]))
        else:
            box = QRectF(positions[0], positions[-1]).normalized()
            path.addEllipse(box) if shape == "ellipse" else path.addRect(box)
        return path

    # ---- mouse and keys ------------------------------------------------------------------------------------------

    def take(self, pane: ImagePane, shows: object, event: QEvent) -> bool:
        """Whether what the user did on a pane was meant for regions; it is done then."""
        answer = self._answers.get(event.type())
        return answer is not None and self._can_draw_on(pane, shows) and answer(pane, event)

    def _can_draw_on(self, pane: ImagePane, shows: object) -> bool:
        """Whether a pane shows the scene, or a small picture of it."""
        is_scene = shows != MEASUREMENT or self._session.kind.measures == "picture"
        return is_scene and self._parts.regions.size is not None and not pane.target.isEmpty()

    def _press(self, pane: ImagePane, event: QMouseEvent) -> bool:
        regions = self._parts.regions
        if event.button() != Qt.MouseButton.LeftButton:
            return False
        if regions.tool is None and pane.claims(event.position()):
            return False
        if regions.tool is None:
            self._taken = self.region_at(pane, event.position())
            regions.choose(None if self._taken is None else self._taken.number)
            self._pressed = event.position() if self._taken is not None else None
            return self._taken is not None
        self._pressed = event.position()
        point = self.point_at(pane, event.position())
        if regions.tool in ("rectangle", "ellipse"):
            self.draft = [point, point]
        elif regions.tool == "polygon" and not self.draft:
            self.draft = [point]
        self.update()
        return True

    def _move(self, pane: ImagePane, event: QMouseEvent) -> bool:
        point = self.point_at(pane, event.position())
        if self._taken is not None and self._pressed is not None:
            if (event.position() - self._pressed).manhattanLength() >= DRAG_STARTS or self.dragged is not None:
                start = self.point_at(pane, self._pressed)
                way = round(point[0] - start[0]), round(point[1] - start[1])
                self.dragged = self._parts.regions.shifted(self._taken, *way)
        elif self.draft:
            self.draft[-1:] = [self.draft[-1], point] if len(self.draft) == 1 else [point]
        if self.draft or self.dragged is not None:
            self.update()
        return False  # the cursor and its values follow all the same

    def _release(self, pane: ImagePane, event: QMouseEvent) -> bool:
        regions, tool = self._parts.regions, self._parts.regions.tool
        if self._pressed is None or event.button() != Qt.MouseButton.LeftButton:
            return False
        self._pressed = None
        point = self.point_at(pane, event.position())
        if self._taken is not None:
            taken, dragged = self._taken, self.dragged
            self._taken = self.dragged = None
            if dragged is not None:
                regions.edit(taken.number, dragged.corners)
        elif tool == "point":
            (height, width), (y, x) = regions.size, point
            regions.add("point", [(min(y // 1, height - 1), min(x // 1, width - 1))])
        elif tool == "polygon":
            self.draft[-1:] = [point, point]
        elif self.draft:
            self._keep(tool, [self.draft[0], point])
        self.update()
        return True

    def _double_click(self, pane: ImagePane, event: QMouseEvent) -> bool:
        """Closes a polygon; with any tool it is two clicks of that tool, and fits nothing."""
        tool = self._parts.regions.tool
        if tool == "polygon" and len(self.draft) > 1:
            self._close_polygon()
        elif tool is not None:
            return self._press(pane, event)
        return tool is not None

    def _claim(self, pane: ImagePane, event: QKeyEvent) -> bool:
        """Keeps the keys that mean something here from being shortcuts of the window."""
        if self._answer_to(pane, event) is None:
            return False
        event.accept()
        return True

    def _key(self, pane: ImagePane, event: QKeyEvent) -> bool:
        answer = self._answer_to(pane, event)
        if answer is not None:
            answer()
        return answer is not None

    def _answer_to(self, pane: ImagePane, event: QKeyEvent) -> Callable[[], None] | None:
        """What a key does to regions now; None where it means nothing to them."""
        regions, key = self._parts.regions, event.key()
        if key == Qt.Key.Key_Escape:
            if self.draft:
                return self._lay_down
            if regions.tool is not None:
                return lambda: regions.set_tool(None)
            return None if regions.chosen is None else lambda: regions.choose(None)
        if key in ENTER and regions.tool is not None:
            return self._close_polygon if regions.tool == "polygon" and self.draft else lambda: self._place(pane)
        if regions.chosen is None:
            return None
        if key in REMOVE:
            return lambda: regions.remove(regions.chosen_number)
        if key in ARROWS:
            step = FAR if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
            dy, dx = ARROWS[key]
            return lambda: regions.move(regions.chosen_number, step * dy, step * dx)
        return None

    def _place(self, pane: ImagePane) -> None:
        """Puts what the tool draws into the middle of what is seen, a quarter as large as the picture."""
        regions = self._parts.regions
        (height, width), tool = regions.size, regions.tool
        y, x = self.point_at(pane, QPointF(pane.width() / 2, pane.height() / 2))
        if tool == "point":
            regions.add(tool, [(min(y // 1, height - 1), min(x // 1, width - 1))])
            return
        top, left, bottom, right = y - height / 8, x - width / 8, y + height / 8, x + width / 8
        corners = [(top, left), (bottom, right)]
        if tool == "polygon":
            corners = [(top, x), (bottom, right), (bottom, left)]
        self._keep(tool, corners)

    def _close_polygon(self) -> None:
        """Keeps the corners that were clicked; two of them enclose nothing."""
        corners = list(dict.fromkeys(self.draft[:-1]))
        if len(corners) >= 3:
            self._keep("polygon", corners)

    def _keep(self, tool: Shape, corners: list[Point]) -> None:
        """Adds what was drawn and lays the tool down, so that it can be dragged at once."""
        digits = 1 if tool == "polygon" else 0
        rounded = [(round(y, digits), round(x, digits)) for y, x in corners]
        self.draft = []
        if self._parts.regions.add(tool, rounded) is not None:
            self._parts.regions.set_tool(None)

    def _tool_changed(self) -> None:
        """Drops what was begun, and gives the keys to a pane that can be drawn on."""
        self._lay_down()
        seen = [sheet for sheet in self._sheets if sheet.isVisible()]
        if seen and self._parts.regions.tool is not None:
            seen[0].parentWidget().setFocus()

    def _lay_down(self) -> None:
        """Drops what was begun."""
        self.draft, self._pressed, self._taken, self.dragged = [], None, None, None
        self.update()

    # ---- painting ------------------------------------------------------------------------------------------------

    def paint(self, painter: QPainter, pane: ImagePane, shows: object) -> None:
        """Paints the regions, what is being drawn, and on a photograph its zoom boxes."""
        if not self._can_draw_on(pane, shows):
            return
        regions = self._parts.regions
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for region in regions.all:
            is_dragged = self.dragged is not None and region.number == self.dragged.number
            self._paint_region(painter, pane, self.dragged if is_dragged else region)
        if self.draft and regions.tool is not None:
            corners = tuple(self.draft)
            self._outline(painter, self._path(pane, regions.tool, corners), tokens().accent, is_dashed=True)
        if self._session.kind.is_photograph and not isinstance(shows, tuple):  # no inset of two halves
            boxes = [region for region in regions.all if region.shape == "rectangle"]
            paint_insets(
                painter,
                pane,
                shows,
                [(box, region_colour(box.number)) for box in boxes],
                self._pictures,
                regions,
            )

    def _paint_region(self, painter: QPainter, pane: ImagePane, region: Region) -> None:
        colour, is_chosen = region_colour(region.number), region.number == self._chosen_number
        path = self._path(pane, region.shape, region.corners)
        if region.shape == "point":
            painter.setPen(QPen(QColor("#ffffff"), 2.5 if is_chosen else 1.5))
            painter.setBrush(QColor(colour))
            painter.drawPath(path)
        else:
            self._outline(painter, path, colour, width=3 if is_chosen else 1.75)
        self._paint_number(painter, path.boundingRect(), region.number, colour)

    @property
    def _chosen_number(self) -> int | None:
        return self._parts.regions.chosen_number

    def _outline(
        self, painter: QPainter, path: QPainterPath, colour: str, *, width: float = 1.75, is_dashed: bool = False
    ) -> None:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor("#ffffff"), width + 2))
        painter.drawPath(path)
        painter.setPen(QPen(QColor(colour), width, Qt.PenStyle.DashLine if is_dashed else Qt.PenStyle.SolidLine))
        painter.drawPath(path)

    def _paint_number(self, painter: QPainter, around: QRectF, number: int, colour: str) -> None:
        """A small tag at the upper left corner."""
        font = painter.font()
        font.setBold(True)
        font.setPointSizeF(max(font.pointSizeF() - 2, 6))
        painter.save()
        painter.setFont(font)
        words = str(number)
        width = painter.fontMetrics().horizontalAdvance(words) + 6
        height = painter.fontMetrics().height()
        tag = QRectF(around.left() - width, around.top() - height, width, height)  # covers nothing of it
        painter.setPen(QPen(QColor("#ffffff"), 1))
        painter.setBrush(QColor(colour))
        painter.drawRoundedRect(tag, 3, 3)
        is_light = QColor(colour).lightnessF() > 0.55
        painter.setPen(QColor("#000000" if is_light else "#ffffff"))
        painter.drawText(tag, Qt.AlignmentFlag.AlignCenter, words)
        painter.restore()


class _Sheet(QWidget):
    """A transparent sheet over a pane that lets the mouse through, and hears of it before the pane does."""

    def __init__(self, pane: ImagePane, shows: Callable[[], object], tools: RegionTools) -> None:
        super().__init__(pane)
        self._pane, self._shows, self._tools = pane, shows, tools
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.resize(pane.size())
        self.show()
        pane.installEventFilter(self)

    def eventFilter(self, pane: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Resize:
            self.resize(self._pane.size())
        return self._tools.take(self._pane, self._shows(), event)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._tools.paint(painter, self._pane, self._shows())
        painter.end()
