"""Everything one can do in the window, in one table: menus, shortcuts, enabled rules and the list of shortcuts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QAction, QActionGroup, QKeySequence

from lorun_engine.task import DEFAULT, TASKS

from .assembly import Parts
from .document.recipe import WHOLE
from .document.region import SHAPES, Shape
from .document.selection import MODES, Mode, View

Rule = Callable[[Parts], bool]


def _always(parts: Parts) -> bool:
    return True


def _has_files(parts: Parts) -> bool:
    return bool(parts.session.paths)


def _has_stages(parts: Parts) -> bool:
    return len(parts.session.stages) > 0


def _is_open(parts: Parts) -> bool:
    return parts.session.measurement is not None


def _has_bands(parts: Parts) -> bool:
    return parts.session.measurement is not None and parts.session.measurement.physics.scene_shape[0] > 1


def _is_cube(parts: Parts) -> bool:
    return parts.session.measurement is not None and not parts.session.kind.is_photograph


def _has_range(parts: Parts) -> bool:
    return parts.session.selection.band_range is not None


def _has_regions(parts: Parts) -> bool:
    return bool(parts.regions.all)


def _is_snapshot(parts: Parts) -> bool:
    return parts.session.measurement is not None and parts.session.kind.measures == "plane"


def _can_step(parts: Parts) -> bool:
    return parts.folder.can_step


def _can_cancel(parts: Parts) -> bool:
    return parts.session.restoration.state == "running" or parts.comparing.is_running


def _can_export(parts: Parts) -> bool:
    return _has_stages(parts) and not parts.session.restoration.is_busy


def _can_save_session(parts: Parts) -> bool:
    return parts.session_files.can_save


def _has_several_stages(parts: Parts) -> bool:
    return len(parts.session.stages) > 1


def _is_compared(parts: Parts) -> bool:
    return parts.session.selection.mode == "compare"


def _is_relit(parts: Parts) -> bool:
    return parts.relight.is_possible


def _has_line(parts: Parts) -> bool:
    """Whether two pictures may meet in a line: those that are compared, or a photograph before and after."""
    is_before_and_after = parts.session.kind.measures == "picture" and parts.session.selection.layout == "single"
    return _is_compared(parts) or (is_before_and_after and _has_stages(parts))


def _has_two_sides(parts: Parts) -> bool:
    return len(parts.comparing.sides()) > 1


def _has_engine(parts: Parts) -> bool:
    return parts.setup.is_engine_loaded


def _has_set(parts: Parts) -> bool:
    return parts.setup.is_engine_loaded and parts.workshop.shown is not None


def _is_adapted(parts: Parts) -> bool:
    return parts.setup.adapting != WHOLE


def _in_mode(mode: Mode) -> Rule:
    return lambda parts: parts.session.selection.mode == mode


def _in_view(view: View) -> Rule:
    return lambda parts: parts.session.selection.mode in ("colour", "band") and parts.session.selection.view == view


def _with_tool(shape: Shape) -> Rule:
    return lambda parts: parts.regions.tool == shape


@dataclass(frozen=True)
class Entry:
    """One action; `key` is its shortcut, or two separated by a space. `hint` is for the status bar and tooltips."""

    name: str
    menu: str
    text: str
    key: str = ""
    rule: Rule = _always
    hint: str = ""

    @property
    def is_of_pictures(self) -> bool:
        """Whether its key acts on what is seen of the restoration, and on nothing while a full page covers that."""
        return self.menu == "View" or self.name in PLACES

    @property
    def is_of_stages(self) -> bool:
        """Whether it speaks of the stages of what is shown, which may be called otherwise."""
        return self.menu in ("File", "View") and "stage" in f"{self.text} {self.hint}".lower()


PLACES = (*(f"draw_{shape}" for shape in SHAPES), "next_region", "remove_region", "copy_picture")

# task -> what opens its sample
SAMPLE_ENTRIES: Mapping[str, Entry] = {
    name: Entry(
        f"open_{name}_sample",
        "File",
        f"Open {task.short} sample",
        "Ctrl+Shift+S" if name == DEFAULT else "",
        hint=f"Open the built-in sample of the task {task.title}",
    )
    for name, task in TASKS.items()
}

# In the order of the menus; an entry without a name is a separator.
ENTRIES: tuple[Entry, ...] = (
    Entry("open", "File", "Open…", "Ctrl+O", hint="Open a measurement with its mask or matrix, or drop the files"),
    Entry("open_folder", "File", "Open folder…", "Ctrl+Alt+O", hint="List the captures of a folder, or drop it"),
    Entry(
        "add", "File", "Add files…", "Ctrl+Shift+O", _has_files, "Add a mask, a matrix or a reference to what is open"
    ),
    *SAMPLE_ENTRIES.values(),
    Entry("recent", "File", "Recent"),
    Entry("", "File", ""),
    Entry(
        "save_session", "File", "Save session", "Ctrl+S", _can_save_session, "Write all that is open, with every result"
    ),
    Entry("save_session_as", "File", "Save session as…", "", _can_save_session, "Write it to another file"),
    Entry("", "File", ""),
    Entry("export", "File", "Export result…", "Ctrl+E", _can_export, "Write the last stage as a cube"),
    Entry(
        "export_stage",
        "File",
        "Export chosen stage…",
        "Ctrl+Shift+E",
        lambda parts: _can_export(parts) and parts.session.selection.stage != len(parts.session.stages) - 1,
        "Write the stage that is looked at as a cube",
    ),
    Entry(
        "export_spectra",
        "File",
        "Export spectra…",
        "",
        lambda parts: _can_export(parts) and parts.session.selection.pixel is not None,
        "Write the curves at the pinned pixel as CSV",
    ),
    Entry(
        "export_regions",
        "File",
        "Export regions…",
        "Ctrl+R",
        lambda parts: _can_export(parts) and _has_regions(parts),
        "Write what was measured in all points and regions",
    ),
    Entry("export_stages", "File", "Export all stages…", "", _can_export, "Write the start and all stages to one file"),
    Entry("export_picture", "File", "Export picture…", "", _can_export, "Write what is shown, at full size"),
    Entry(
        "export_report",
        "File",
        "Export report…",
        "Ctrl+Shift+P",
        _can_export,
        "Write pictures, figures, settings and hashes to one page",
    ),
    Entry("open_library", "File", "Open spectral library…", "", _is_cube, "Compare spectra with those of a library"),
    Entry("", "File", ""),
    Entry("quit", "File", "Quit", "Ctrl+Q"),
    Entry("undo", "Edit", "Undo", "Ctrl+Z"),
    Entry("redo", "Edit", "Redo", "Ctrl+Shift+Z"),
    Entry("", "Edit", ""),
    Entry("roles", "Edit", "Roles and geometry…", "Ctrl+G", _has_files, "See and correct what was understood"),
    Entry("copy_command", "Edit", "Copy as command", "Ctrl+Shift+C", _is_open, "The lorun line that does this decode"),
    Entry("copy_script", "Edit", "Copy as Python", "", _is_open, "The Python script that does this decode"),
    Entry("copy_picture", "Edit", "Copy picture", "Ctrl+C", _is_open, "What is shown, at full size"),
    Entry("preferences", "Edit", "Preferences…", "Ctrl+,", hint="Look, devices, folders, and what opens at the start"),
    Entry("", "Edit", ""),
    Entry("draw_point", "Edit", "Draw points", "P", _is_open, "Every click on a picture keeps a point"),
    Entry("draw_rectangle", "Edit", "Draw a rectangle", "R", _is_open, "Drag over a picture; Enter takes its middle"),
    Entry("draw_ellipse", "Edit", "Draw an ellipse", "E", _is_cube, "Drag over a picture; Enter takes its middle"),
    Entry("draw_polygon", "Edit", "Draw a polygon", "G", _is_cube, "Click its corners; Enter closes it"),
    Entry("next_region", "Edit", "Next region", "N", _has_regions, "Choose the next point or region"),
    Entry(
        "remove_region",
        "Edit",
        "Remove region",
        "Del",
        lambda parts: parts.regions.chosen is not None,
        "Remove the chosen point or region",
    ),
    Entry("colour", "View", "Colour", "1", _has_bands),
    Entry("band", "View", "Band", "2", _has_bands),
    Entry("montage", "View", "Montage", "3", _has_bands),
    Entry("residual", "View", "Residual", "4", _has_stages, "What the chosen stage leaves unexplained of the capture"),
    Entry("compare", "View", "Compare", "5", _is_open, "Two stages, results, decoders or the reference in one picture"),
    Entry("reflectance", "View", "Reflectance", "6", _is_relit, "What a stage takes for the scene without its light"),
    Entry("light", "View", "Light", "7", _is_relit, "What a stage takes for the light that fell on the scene"),
    Entry("", "View", ""),
    Entry("brighter", "View", "Relight brighter", "Ctrl+Up", _is_relit, "Take more of the low light away"),
    Entry("darker", "View", "Relight darker", "Ctrl+Down", _is_relit, "Leave more of the light as it was taken"),
    Entry("usual_light", "View", "Relight as usual", "Shift+L", _is_relit, "The gamma that figures are of"),
    Entry("", "View", ""),
    Entry("blink", "View", "Blink", "B", _has_two_sides, "Show the other of the two sides that are compared"),
    Entry("blink_on", "View", "Blink by itself", "Shift+B", _has_two_sides, "Show one side after the other, or stop"),
    Entry("next_way", "View", "Compare in another way", "V", _is_compared, "Side by side, split, blink, difference …"),
    Entry("lens", "View", "Lens", "L", _is_compared, "Magnify at the cursor what the other side shows there"),
    Entry("swap", "View", "Swap the sides", "X", _is_compared, "Exchange left and right"),
    Entry("divider_left", "View", "Divider to the left", "Shift+Left", _has_line),
    Entry("divider_right", "View", "Divider to the right", "Shift+Right", _has_line),
    Entry("", "View", ""),
    Entry("change", "View", "Where it changed", "C", _has_several_stages, "What every stage changed, or the stages"),
    Entry("input", "View", "Denoiser's input", "I", _has_stages, "What the denoiser saw beside what it made of it"),
    Entry(
        "side_by_side",
        "View",
        "Stages side by side",
        "S",
        _has_several_stages,
        "Several stages in panes of their own, or one large picture of the chosen stage",
    ),
    Entry("add_pane", "View", "Add a pane", "K", _has_several_stages, "Keep the chosen stage and show one more"),
    Entry("remove_pane", "View", "Remove the pane", "Shift+K", _has_several_stages, "Take the chosen stage away"),
    Entry("all_panes", "View", "All stages", "Ctrl+A", _has_several_stages, "Start, every stage and the reference"),
    Entry("reset_panes", "View", "Reset the panes", "Ctrl+Shift+R", _has_stages, "The panes that stand by default"),
    Entry("", "View", ""),
    Entry("play", "View", "Play the stages", "Space", _has_several_stages, "Show one stage after the other, or pause"),
    Entry("previous_stage", "View", "Previous stage", ",", _has_stages),
    Entry("next_stage", "View", "Next stage", ".", _has_stages),
    Entry("first_stage", "View", "First stage", "Shift+Home", _has_stages),
    Entry("last_stage", "View", "Last stage", "Shift+End", _has_stages),
    Entry("previous_band", "View", "Previous band", "[", _has_bands),
    Entry("next_band", "View", "Next band", "]", _has_bands),
    Entry(
        "mean_of_bands",
        "View",
        "Mean over bands",
        "M",
        lambda parts: parts.ruler.is_possible,
        "Drag over the spectra: the pictures show the mean over these bands",
    ),
    Entry("more_bands", "View", "More bands", "W", _has_range, "Widen the range of bands at both ends"),
    Entry("fewer_bands", "View", "Fewer bands", "Shift+W", _has_range, "Narrow the range of bands at both ends"),
    Entry("", "View", ""),
    Entry("previous_capture", "View", "Previous capture", "A", _can_step, "Open the one before in the folder"),
    Entry("next_capture", "View", "Next capture", "D", _can_step, "Open the next one of the folder"),
    Entry("folder", "View", "Folder", "Ctrl+Alt+F"),
    Entry("", "View", ""),
    Entry("undock", "View", "Spectra in a window", "Ctrl+Alt+S"),
    Entry("log", "View", "Log", "Ctrl+L"),
    Entry("decode", "Decode", "Decode", "Ctrl+Return F5", lambda parts: parts.session.can_restore),
    Entry("cancel", "Decode", "Cancel", "Esc", _can_cancel),
    Entry(
        "decode_all",
        "Decode",
        "Decode all of the folder",
        "Shift+F5",
        lambda parts: parts.decode_all.can_decode and not parts.decode_all.is_under_way,
        "Decode every capture of the folder that has no result yet",
    ),
    Entry("several", "Decode", "Decode with several…", "Ctrl+Shift+Return", _is_open, "Decoders one after another"),
    Entry("", "Decode", ""),
    Entry("alignment", "Decode", "Alignment…", "Ctrl+M", _is_snapshot, "Search where the mask really lies"),
    Entry("what_if", "Decode", "What if…", "Ctrl+I", _is_open, "Simulate a scene with this camera and decode it"),
    Entry("adapt", "Decode", "Adapt…", "Ctrl+T", hint="Retrain the adapters on your camera, scenes, ratio or kernel"),
    Entry(
        "adapters", "Adapters", "Adapter sets…", "Ctrl+Shift+A", hint="The library, and what a set changes, by stage"
    ),
    Entry("import_adapter", "Adapters", "Import…", "Ctrl+Shift+I", _has_engine, "Bring a set from a file"),
    Entry("export_adapter", "Adapters", "Export…", "", _has_set, "The set and its backbone for somebody else"),
    Entry("verify_adapter", "Adapters", "Verify", "", _has_set, "Check the set and its backbone against their hashes"),
    Entry("", "Adapters", ""),
    Entry("whole_adapter", "Adapters", "Use the whole set", "", _is_adapted, "100 % of the adapters in all stages"),
    Entry("help", "Help", "Help", "F1", hint="The pages of the help, with a search; F1 on a page tells of that page"),
    Entry("tour", "Help", "Tour", hint="How to open, decode, look and save, in three steps"),
    Entry("shortcuts", "Help", "Shortcuts", "?"),
    Entry("self_test", "Help", "Self-test", "", lambda parts: parts.setup.is_engine_loaded and not parts.lanes.is_busy),
    Entry("copy_report", "Help", "Copy report"),
    Entry("about", "Help", "About LoRun"),
)

SUBMENUS = ("recent",)  # filled by the window

VIEWS: tuple[View, ...] = ("change", "input")
# Entries that are on or off, with the rule that says which; of the modes one is on.
IS_ON: Mapping[str, Rule] = {
    **{mode: _in_mode(mode) for mode in MODES},
    **{view: _in_view(view) for view in VIEWS},
    **{f"draw_{shape}": _with_tool(shape) for shape in SHAPES},
    "side_by_side": lambda parts: _has_several_stages(parts) and parts.session.selection.layout == "grid",
    "blink_on": lambda parts: _is_compared(parts) and parts.comparing.look.blinks,
    "lens": lambda parts: _is_compared(parts) and parts.comparing.look.has_lens,
    "mean_of_bands": _has_range,
}


class Actions(QObject):
    """The QActions of the table, by name, kept enabled as their rules say."""

    def __init__(self, parts: Parts, verbs: Mapping[str, Callable[[], None] | QAction], parent: QObject) -> None:
        """`verbs` names what every entry does; an entry without a verb, or a verb without an entry, is a mistake.

        Where Qt makes the action itself, to undo something or to show a dock, it stands for verb, text and rule.
        """
        super().__init__(parent)
        self._parts = parts
        named = [entry for entry in ENTRIES if entry.name and entry.name not in SUBMENUS]
        if {entry.name for entry in named} != set(verbs):
            raise ValueError(f"entries and verbs differ: {sorted({entry.name for entry in named} ^ set(verbs))}")
        self._actions: dict[str, QAction] = {}
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self.update)
        self._ruled: list[tuple[Entry, QAction]] = []
        for entry in named:
            verb = verbs[entry.name]
            action = self._actions[entry.name] = verb if isinstance(verb, QAction) else QAction(entry.text, parent)
            action.setObjectName(entry.name)
            action.setShortcuts([QKeySequence(key) for key in entry.key.split()])
            action.setStatusTip(entry.hint)
            if action is not verb:
                action.triggered.connect(verb)
                action.triggered.connect(self._update_soon)  # Qt has ticked it already
                action.setCheckable(entry.name in IS_ON)
                self._ruled.append((entry, action))
        modes = QActionGroup(self)
        for name in MODES:
            modes.addAction(self._actions[name])
        for changed in (
            parts.session.opened_changed,
            parts.setup.changed,
            parts.session.restoration_changed,
            parts.session.stage_added,
            parts.session.selection_changed,
            parts.session.held_changed,
            parts.regions.changed,
            parts.regions.tool_changed,
            parts.lanes.idle,
            parts.comparing.changed,
            parts.setup.adapting_changed,
            parts.workshop.inspected,
            parts.decode_all.changed,
        ):
            changed.connect(self._update_soon)
        self.update()

    def __getitem__(self, name: str) -> QAction:
        if self._timer.isActive():  # nobody is given a rule of before
            self.update()
        return self._actions[name]

    def cover(self, is_covered: bool) -> None:
        """Says whether a full page covers the pictures: their keys are its own then, the menus stay."""
        context = Qt.ShortcutContext.WidgetShortcut if is_covered else Qt.ShortcutContext.WindowShortcut
        for entry, action in self._ruled:
            if entry.is_of_pictures and entry.name != "play":  # whose key the window gives to who has the focus
                action.setShortcutContext(context)

    def update(self) -> None:
        """Enables every action, ticks what is on, as the rules say, and names the steps of what is shown."""
        self._timer.stop()
        for entry, action in self._ruled:
            action.setEnabled(entry.rule(self._parts))
            if entry.is_of_stages:
                action.setText(self._parts.wording.of(entry.text))
                action.setStatusTip(self._parts.wording.of(entry.hint))
            if entry.name in IS_ON:
                action.setChecked(IS_ON[entry.name](self._parts))

    def _update_soon(self) -> None:
        """Rules are read once when what is going on has come to rest: one change sends several signals."""
        self._timer.start()
