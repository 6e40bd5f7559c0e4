"""The window: its three columns, menus, docks and status bar, wired to one session."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from platformdirs import user_log_path
from PySide6.QtCore import QByteArray, QMimeData, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QDragEnterEvent,
    QDropEvent,
    QGuiApplication,
    QKeyEvent,
    QPaintEvent,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QApplication,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QMenu,
    QMessageBox,
    QScrollArea,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from lorun_engine import __version__
from lorun_engine.errors import LorunError
from lorun_engine.library.sets import LibrarySet

from . import problems, theme
from .actions import ENTRIES, Actions, Corrections
from .arranging import add_pane, remove_pane, show_all
from .exports import CUBE_SUFFIXES
from .job import is_thread_left
from .kinds import KINDS
from .panels.adapters import AdaptersPage
from .panels.alignment import AlignmentPage
from .panels.check import CheckCard
from .panels.decode import DecodeCard
from .panels.files import (
    ask_adapter_files,
    ask_for_folder,
    ask_open_files,
    ask_open_library,
    ask_save_file,
    ask_target_folder,
)
from .panels.log import LogDock
from .panels.measurement import MeasurementCard
from .panels.model import ModelCard
from .panels.problem import ProblemBar
from .panels.recent import RecentCard, title
from .panels.roles import RolesPage
from .panels.shortcuts import ShortcutsOverlay
from .panels.status import StatusBar
from .panels.training import TrainingPage
from .panels.training_card import TrainingCard
from .panels.what_if import AsideCard, WhatIfPage
from .problems import Problem
from .regions import REGION_SUFFIXES, SHAPES
from .resources import library_folders, samples
from .session import Session
from .settings import RecentJob, settings_path
from .viewers.centre import CentreView
from .viewers.convergence import ConvergenceView
from .viewers.side_tabs import SideTabs
from .viewers.spectrum import SpectrumView
from .workshop import WHOLE, weights_files

APP_NAME = "LoRun"
LOG_HEIGHT = 200  # px at first


class MainWindow(QMainWindow):
    """Wiring only: what is open and decoded lives in the session."""

    first_painted = Signal()
    patience_ms = 4000  # how long a close waits for the running stage before it asks

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.setWindowTitle("LoRun")
        self.setAcceptDrops(True)
        self.resize(1440, 900)
        self.setMinimumSize(1180, 640)
        self.restoreGeometry(QByteArray.fromHex(session.settings.window.encode()))  # Qt leaves out what fits no screen
        self._is_painted = False
        self._is_closing = False
        self._may_leave = False
        self._theme = theme.chosen(QApplication.instance(), session.settings.theme)

        self.corrections = Corrections(session, self)
        self.measurement_card = MeasurementCard(session, self.corrections)
        self.model_card = ModelCard(session)
        self.decode_card = DecodeCard(session)
        self.check_card = CheckCard(session)
        self.alignment_page: AlignmentPage | None = None  # made when it is first wanted
        self.aside_card = AsideCard(session)
        self.what_if_page: WhatIfPage | None = None
        self.training_card = TrainingCard(session)
        self.training_page: TrainingPage | None = None  # made when it is first wanted
        self.adapters_page: AdaptersPage | None = None  # likewise
        self.recent_card = RecentCard(session)
        self.problem_bar = ProblemBar()
        self.centre = CentreView(session, self._theme)
        self.spectrum = SpectrumView(session, self._theme)
        self.convergence = ConvergenceView(session, self._theme)
        self.side_tabs = SideTabs(session, self._theme, spectrum=self.spectrum, convergence=self.convergence)
        session.regions.record_on(self.corrections)
        session.ruler.record_on(self.corrections)
        self.log_dock = LogDock(session)
        self.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.log_dock)
        self.resizeDocks([self.log_dock], [LOG_HEIGHT], Qt.Orientation.Vertical)
        self.log_dock.hide()
        self.setStatusBar(StatusBar(session))
        self.roles_page = RolesPage(session, self.corrections, self)
        self.shortcuts = ShortcutsOverlay(self)
        self._lay_out()

        self.actions_ = Actions(session, self._verbs(), self)
        self._make_menus()
        self._connect()
        theme.apply(QApplication.instance(), self._theme)
        self._show_document()

    # ---- making --------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        left = _column(
            self.measurement_card,
            self.aside_card,
            self.model_card,
            self.decode_card,
            self.check_card,
            self.training_card,
            self.recent_card,
            width=theme.LEFT_WIDTH,
        )
        right = QWidget()
        right.setFixedWidth(theme.RIGHT_WIDTH)
        right_column = QVBoxLayout(right)
        right_column.setContentsMargins(0, 0, 0, 0)
        right_column.setSpacing(theme.GRID)
        right_column.addWidget(self.spectrum, 4)
        right_column.addWidget(self.side_tabs, 5)
        body = QWidget()
        rows = QVBoxLayout(body)
        rows.setContentsMargins(theme.GRID, theme.GRID, theme.GRID, theme.GRID)
        rows.setSpacing(theme.GRID)
        columns = QHBoxLayout()
        columns.setSpacing(2 * theme.GRID)
        columns.addWidget(left)
        restoration = QWidget()
        beside = QHBoxLayout(restoration)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(2 * theme.GRID)
        beside.addWidget(self.centre, 1)
        beside.addWidget(right)
        self.pages = QStackedWidget()  # the restoration; full pages, such as the adapters', take its place
        self.pages.addWidget(restoration)
        columns.addWidget(self.pages, 1)
        self._right = right
        rows.addWidget(self.problem_bar)
        rows.addLayout(columns, 1)
        self.setCentralWidget(body)

    def _verbs(self) -> dict:
        session = self.session
        return {
            "open": self.ask_open,
            "add": self.ask_add,
            **{f"open_{name}_sample": partial(session.open_sample, name) for name in KINDS},
            "export": lambda: self.ask_export(None),
            "export_stage": lambda: self.ask_export(session.selection.stage),
            "export_spectra": self.ask_export_spectra,
            "export_picture": self.ask_export_picture,
            "export_regions": self.ask_export_regions,
            "open_library": self.ask_open_library,
            **{f"draw_{shape}": partial(session.regions.set_tool, shape) for shape in SHAPES},
            "next_region": session.regions.choose_next,
            "remove_region": lambda: session.regions.remove(session.regions.chosen_number),
            "quit": self.close,
            "undo": self.corrections.undo,
            "redo": self.corrections.redo,
            "roles": self.show_roles,
            "copy_command": self.copy_command,
            "colour": lambda: session.set_mode("colour"),
            "band": lambda: session.set_mode("band"),
            "montage": lambda: session.set_mode("montage"),
            "residual": lambda: session.set_mode("residual"),
            "compare": lambda: session.set_mode("compare"),
            "blink": self.centre.blink,
            "blink_on": self.centre.blink_by_itself,
            "next_way": session.comparing.show_next,
            "swap": session.comparing.swap,
            "divider_left": lambda: session.comparing.step_divider(-1),
            "divider_right": lambda: session.comparing.step_divider(1),
            "change": lambda: session.toggle_view("change"),
            "input": lambda: session.toggle_view("input"),
            "add_pane": partial(add_pane, session),
            "remove_pane": partial(remove_pane, session),
            "all_panes": partial(show_all, session),
            "reset_panes": session.reset_panes,
            "play": self.centre.play,
            "several": self.centre.show_sets,
            "alignment": self.show_alignment,
            "what_if": self.show_what_if,
            "previous_stage": lambda: session.select_stage(session.selection.stage - 1),
            "next_stage": lambda: session.select_stage(session.selection.stage + 1),
            "first_stage": lambda: session.select_stage(0),
            "last_stage": lambda: session.select_stage(len(session.stages) - 1),
            "previous_band": lambda: session.ruler.move(-1),
            "next_band": lambda: session.ruler.move(1),
            "mean_of_bands": session.ruler.toggle,
            "more_bands": lambda: session.ruler.grow(1),
            "fewer_bands": lambda: session.ruler.grow(-1),
            "log": self.toggle_log,
            "decode": session.restore,
            "cancel": session.cancel,
            "adapt": self.show_training,
            "adapters": self.show_adapters,
            "import_adapter": self.ask_import_adapters,
            "export_adapter": lambda: self.ask_export_adapter(session.workshop.shown),
            "verify_adapter": self.verify_adapter,
            "whole_adapter": session.workshop.take_whole,
            "shortcuts": self.shortcuts.show,
            "self_test": self.self_test,
            "copy_report": lambda: self.copy_report(),
            "about": self.show_about,
        }

    def _make_menus(self) -> None:
        menus: dict[str, QMenu] = {}
        for entry in ENTRIES:
            menu = menus.get(entry.menu) or menus.setdefault(entry.menu, self.menuBar().addMenu(entry.menu))
            if not entry.name:
                menu.addSeparator()
            elif entry.name == "recent":
                self._recent_menu = menu.addMenu(entry.text)
            elif entry.name == "theme":
                self._add_themes(menu.addMenu(entry.text))
            else:
                menu.addAction(self.actions_[entry.name])
        for name in KINDS:
            self.actions_[f"open_{name}_sample"].setVisible(name in samples())
        self._show_recent()

    def _add_themes(self, menu: QMenu) -> None:
        group = QActionGroup(self)
        for choice, text in (("system", "As the system"), ("light", "Light"), ("dark", "Dark")):
            action = group.addAction(QAction(text, self, checkable=True))
            action.setChecked(self.session.settings.theme == choice)
            action.triggered.connect(lambda _=False, choice=choice: self.choose_theme(choice))
            menu.addAction(action)

    def _connect(self) -> None:
        session = self.session
        session.opened_changed.connect(self._show_document)
        session.restoration_changed.connect(self._show_document)
        session.settings_changed.connect(self._show_recent)
        session.problem_raised.connect(self.problem_bar.show_problem)
        session.exported.connect(lambda path: self.statusBar().showMessage(f"Wrote {path}", 8000))
        session.worker_idle.connect(self._close_if_waiting)
        session.training.child_ended.connect(self._close_if_waiting)
        self.model_card.adapt_requested.connect(self.show_training)
        self.training_card.show_requested.connect(self.show_training)
        self.check_card.alignment_requested.connect(self.show_alignment)
        self.aside_card.page_requested.connect(self.show_what_if)
        self.centre.open_requested.connect(self.ask_open)
        self.centre.sample_requested.connect(session.open_sample)
        self.centre.cursor_moved.connect(self.spectrum.show_cursor)
        self.centre.cursor_moved.connect(self.statusBar().show_cursor)
        self.model_card.library_requested.connect(self.show_adapters)
        self.measurement_card.open_requested.connect(self.ask_open)
        self.measurement_card.add_requested.connect(self.ask_add)
        self.measurement_card.roles_requested.connect(self.show_roles)
        self.spectrum.export_requested.connect(self.ask_export_spectra)
        self.side_tabs.export_requested.connect(self.ask_export_regions)
        self.side_tabs.library_requested.connect(self.ask_open_library)
        self.roles_page.add_requested.connect(self.ask_add)
        self.recent_card.locate_requested.connect(self.relocate)
        self.problem_bar.report_requested.connect(self.copy_report)
        self.log_dock.report_requested.connect(lambda: self.copy_report())
        for name, changed in (("undo", self.corrections.canUndoChanged), ("redo", self.corrections.canRedoChanged)):
            self.actions_[name].setEnabled(False)
            changed.connect(self.actions_[name].setEnabled)
        self.corrections.undoTextChanged.connect(lambda text: self.actions_["undo"].setText(f"Undo {text}".strip()))
        self.corrections.redoTextChanged.connect(lambda text: self.actions_["redo"].setText(f"Redo {text}".strip()))
        QApplication.instance().focusChanged.connect(self._share_space)
        QApplication.instance().styleHints().colorSchemeChanged.connect(self._follow_system)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape, where nothing else wants it, shows single bands again."""
        if event.key() == Qt.Key.Key_Escape and self.session.ruler.range is not None:
            self.session.ruler.clear()
        else:
            super().keyPressEvent(event)

    def _share_space(self, _: QWidget | None, focused: QWidget | None) -> None:
        """Space presses the button or opens the box that has the focus; elsewhere it plays the stages."""
        if focused is not None:
            has_use = isinstance(focused, QAbstractButton | QComboBox | QAbstractItemView)
            context = Qt.ShortcutContext.WidgetShortcut if has_use else Qt.ShortcutContext.WindowShortcut
            self.actions_["play"].setShortcutContext(context)

    # ---- documents -----------------------------------------------------------------------------------------------

    def ask_open(self) -> None:
        """Lets the user choose the files of one measurement."""
        if paths := ask_open_files(self, "Open a measurement with its mask or matrix", self._folder()):
            self.session.open(paths)

    def ask_add(self) -> None:
        """Lets the user add files to what is open."""
        if paths := ask_open_files(self, "Add a mask, a matrix or a reference", self._folder()):
            self.session.add(paths)

    def relocate(self, job: RecentJob) -> None:
        """Lets the user say where the missing files of a recent job are."""
        if folder := ask_for_folder(self, job):
            self.session.relocate_recent(job, folder)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if _dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        if paths := _dropped_paths(event.mimeData()):
            event.acceptProposedAction()
            self.open_dropped(paths)

    def open_dropped(self, paths: list[Path]) -> None:
        """Opens a measurement's files, and brings adapter sets into the library."""
        if sets := weights_files(paths):
            self.show_adapters()
            self.session.workshop.import_files(sets)
        if others := [path for path in paths if path not in sets]:
            self.session.open(others)

    # ---- adapter sets --------------------------------------------------------------------------------------------

    def show_adapters(self) -> None:
        """Shows the page of the adapter sets."""
        if self.adapters_page is None:
            self.adapters_page = page = AdaptersPage(self.session, self._theme)
            page.closed.connect(lambda: self.show_page(None))
            page.import_requested.connect(self.ask_import_adapters)
            page.export_requested.connect(self.ask_export_adapter)
        self.show_page(self.adapters_page)

    def ask_import_adapters(self) -> None:
        """Lets the user choose the files of adapter sets and brings them into the library."""
        if paths := ask_adapter_files(self):
            self.show_adapters()
            self.session.workshop.import_files(paths)

    def ask_export_adapter(self, entry: LibrarySet) -> None:
        """Lets the user choose a folder and writes a set and its backbone into it."""
        if folder := ask_target_folder(self, f"Export {entry.card.name} with its backbone"):
            self.show_adapters()
            self.session.workshop.export(entry, folder)

    def verify_adapter(self) -> None:
        """Checks the set that is looked at, on the page that says what came of it."""
        self.show_adapters()
        self.session.workshop.verify(self.session.workshop.shown)

    # ---- pages ---------------------------------------------------------------------------------------------------

    def show_roles(self) -> None:
        """Shows the page with roles and geometry; the window stays usable beside it."""
        self.roles_page.show()
        self.roles_page.raise_()
        self.roles_page.activateWindow()

    def show_page(self, page: QWidget | None) -> None:
        """Shows a full page beside the left column, or the restoration again for None."""
        if page is not None and self.pages.indexOf(page) < 0:
            self.pages.addWidget(page)
        self.pages.setCurrentIndex(0 if page is None else self.pages.indexOf(page))

    def show_training(self) -> None:
        """Shows the page on which a set is adapted."""
        if self.training_page is None:
            self.training_page = TrainingPage(self.session, self._theme)
            self.training_page.closed.connect(lambda: self.show_page(None))
            self.training_page.open_requested.connect(self.ask_open)
        self.show_page(self.training_page)
        self.training_page.setFocus()

    def _folder(self) -> Path | None:
        session = self.session
        if session.paths and not session.is_sample:
            return session.paths[0].parent
        recent = session.settings.recent
        return Path(recent[0].paths[0]).parent if recent else None

    def _show_document(self) -> None:
        session, kind = self.session, self.session.kind
        texts = {
            "band": kind.band.capitalize(),
            "previous_band": f"Previous {kind.band}",
            "next_band": f"Next {kind.band}",
            "export_spectra": "Export line profile…" if kind.is_photograph else "Export spectra…",
            "draw_point": "Keep rows" if kind.is_photograph else "Draw points",
            "draw_rectangle": "Draw a zoom box" if kind.is_photograph else "Draw a rectangle",
        }
        for name, text in texts.items():
            self.actions_[name].setText(text)
        name = session.paths[0].name if session.paths else ""
        if session.recipe is not None and session.recipe.adapting != WHOLE:
            name += f", {session.recipe.title}"  # whatever is seen of the result is not the set as it was trained
        self.setWindowTitle(f"{name} – LoRun" if name else "LoRun")
        self._right.setVisible(len(session.stages) > 0)  # empty plots say nothing

    def _show_recent(self) -> None:
        self._recent_menu.clear()
        for job in self.session.settings.recent:
            action = self._recent_menu.addAction(title(job))
            if job.missing:
                names = ", ".join(Path(path).name for path in job.missing)
                action.setText(f"{title(job)}  (locate {names}…)")
                action.triggered.connect(lambda _=False, job=job: self.relocate(job))
            else:
                action.triggered.connect(lambda _=False, job=job: self.session.open_recent(job))
        self._recent_menu.setEnabled(bool(self.session.settings.recent))

    # ---- checks ----------------------------------------------------------------------------------------------------

    def show_alignment(self) -> None:
        """Shows the page on which the mask is searched."""
        if self.alignment_page is None:
            self.alignment_page = AlignmentPage(self.session, self.corrections, self._theme)
            self.alignment_page.closed.connect(lambda: self.show_page(None))
        self.show_page(self.alignment_page)
        self.alignment_page.setFocus()

    def show_what_if(self) -> None:
        """Shows the page on which measurements are simulated."""
        if self.what_if_page is None:
            self.what_if_page = WhatIfPage(self.session, self._theme)
            self.what_if_page.closed.connect(lambda: self.show_page(None))
        self.show_page(self.what_if_page)
        self.what_if_page.setFocus()

    # ---- exports -------------------------------------------------------------------------------------------------

    def ask_export(self, stage: int | None) -> None:
        """Asks for a file and writes the newest stage, or `stage`, as a cube."""
        heading = "Export the result as a cube" if stage is None else f"Export stage {stage} as a cube"
        suffix = "" if stage is None else f"_stage{stage}"
        if path := ask_save_file(self, heading, self._suggested(f"{suffix}.h5"), CUBE_SUFFIXES):
            self.session.export(path, stage=stage)

    def ask_export_spectra(self) -> None:
        """Asks for a file and writes the curves at the pinned pixel."""
        is_profile = self.session.kind.is_photograph
        heading, ending = ("Export line profile", "_profile.csv") if is_profile else ("Export spectra", "_spectra.csv")
        if path := ask_save_file(self, heading, self._suggested(ending), {"CSV": ".csv"}):
            self.session.export_spectra(path, side=self.spectrum.side)

    def ask_export_regions(self) -> None:
        """Asks for a file and writes what was measured in all points and regions."""
        is_photograph = self.session.kind.is_photograph
        suffixes = {"CSV": ".csv"} if is_photograph else REGION_SUFFIXES
        if path := ask_save_file(self, "Export regions", self._suggested("_regions.csv"), suffixes):
            self.session.regions.export(path)

    def ask_open_library(self) -> None:
        """Lets the user choose a spectral library."""
        if path := ask_open_library(self, self._folder()):
            self.side_tabs.show_card("Library")
            self.session.spectral_library.open(path)

    def ask_export_picture(self) -> None:
        """Asks for a file and writes the chosen stage as a picture in its colours."""
        suffix = f"_stage{self.session.selection.stage}.png"
        if path := ask_save_file(self, "Export picture", self._suggested(suffix), {"PNG": ".png"}):
            self.session.export_picture(path)

    def _suggested(self, ending: str) -> Path:
        session = self.session
        folder = self._folder() or Path.home()
        return folder / f"{session.paths[0].stem}_{session.recipe.file_word}{ending}"

    def copy_command(self) -> None:
        """Puts the command that does this decode on the clipboard."""
        try:
            command = self.session.command()
        except LorunError as error:
            self.problem_bar.show_problem(Problem(str(error)))
            return
        QGuiApplication.clipboard().setText(command)
        self.statusBar().showMessage("The command is on the clipboard", 5000)

    # ---- help ----------------------------------------------------------------------------------------------------

    def copy_report(self, problem: Problem | None = None) -> None:
        """Puts versions, device, shapes, the last lines of the log and the problem on the clipboard."""
        lines = [*self.session.report_lines(), "", *self.log_dock.lines[-50:]]
        QGuiApplication.clipboard().setText(problems.report(lines, details=problem.details if problem else ""))
        self.statusBar().showMessage("The report is on the clipboard", 5000)

    def self_test(self) -> None:
        """Runs the self-test in the worker, with its lines in the log."""
        self.log_dock.show()
        self.session.self_test()

    def show_about(self) -> None:
        """Says what this is."""
        box = QMessageBox(self)
        box.setWindowTitle("About LoRun")
        box.setText(f"LoRun {__version__}")
        box.setInformativeText(
            "Decodes CASSI snapshots, compressive samples and low-resolution pictures, stage by stage.\n"
            "MIT licence. Colour: CIE 1931 standard observer, D65."
        )
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    def toggle_log(self) -> None:
        """Shows or hides the log."""
        self.log_dock.setVisible(not self.log_dock.isVisible())

    # ---- looks ---------------------------------------------------------------------------------------------------

    def choose_theme(self, choice: theme.Choice) -> None:
        """Takes a theme and remembers it."""
        self.session.set_theme(choice)
        self._set_theme(theme.chosen(QApplication.instance(), choice))

    def _follow_system(self) -> None:
        if self.session.settings.theme == "system":
            self._set_theme(theme.system(QApplication.instance()))

    def _set_theme(self, tokens: theme.Theme) -> None:
        theme.apply(QApplication.instance(), tokens)
        self._theme = tokens
        if self.training_page is not None:
            self.training_page.set_theme(tokens)
        if self.adapters_page is not None:
            self.adapters_page.set_theme(tokens)
        for page in (self.alignment_page, self.what_if_page):
            if page is not None:
                page.set_theme(tokens)
        for view in (self.centre, self.spectrum, self.convergence, self.side_tabs):
            view.set_theme(tokens)

    # ---- first and last ------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._is_painted:
            self._is_painted = True
            QTimer.singleShot(0, self.first_painted.emit)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Cancels, waits for the running stage without blocking, and asks only when that takes long."""
        if (self.session.is_busy or self.session.training.has_child) and not self._may_leave:
            event.ignore()
            if not self._is_closing:
                self._is_closing = True
                self.session.cancel_all()
                self.statusBar().showMessage("Closing after the stage that is being computed…")
                QTimer.singleShot(self.patience_ms, self, self._ask_to_leave)
            return
        self.session.remember_window(self.saveGeometry().toHex().toStdString())
        self.session.close(timeout_s=0.2 if self._may_leave else 5.0)
        for window in (self.roles_page, self.shortcuts):
            window.close()
        event.accept()

    def _close_if_waiting(self) -> None:
        if self._is_closing:
            self.close()

    def _ask_to_leave(self) -> None:
        """Nothing ended in time: the user may wait or leave without it."""
        if not self.session.is_busy and not self.session.training.has_child:
            return
        box = QMessageBox(self)
        box.setObjectName("leave")
        box.setWindowTitle("Close LoRun?")
        box.setText(f"LoRun is still {' and '.join(self.session.tasks())}.")
        box.setInformativeText("Quit now and lose what has not been exported, or wait until it ends.")
        leave = box.addButton("Quit now", QMessageBox.ButtonRole.DestructiveRole)
        box.addButton("Wait", QMessageBox.ButtonRole.RejectRole)
        leave.clicked.connect(self._leave)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.session.worker_idle.connect(box.close)
        box.open()

    def _leave(self) -> None:
        self._may_leave = True
        self.close()


def run(files: list[Path], *, sample: str | None = None) -> int:
    """Opens the window with `files`, or with the built-in `sample` and its decode under way; its exit code."""
    app = QApplication.instance() or QApplication(sys.argv[:1])
    app.setApplicationName(APP_NAME)
    app.setApplicationVersion(__version__)
    app.setDesktopFileName(APP_NAME.lower())
    problems.keep_log(user_log_path(APP_NAME, appauthor=False))
    session = Session(library=library_folders(), settings_path=settings_path())
    problems.install(session.problem_raised.emit)
    window = MainWindow(session)

    def start() -> None:
        session.load_engine()
        session.training.find_runs()
        if sample is not None:
            session.open_sample(sample, decode=True)
        elif files:
            session.open(files)

    window.first_painted.connect(start)
    window.show()
    code = app.exec()
    if is_thread_left():
        os._exit(code)  # the user chose to leave; Qt would abort on destroying the running thread
    return code


def _column(*cards: QWidget, width: int) -> QScrollArea:
    """Cards below each other, `width` pixels wide; they scroll where the window is low."""
    body = QWidget()
    body.setObjectName("column")
    body.setMaximumWidth(width)  # nothing in a card may push its right edge out of sight
    column = QVBoxLayout(body)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(theme.GRID)
    for widget in cards:
        column.addWidget(widget)
    column.addStretch(1)
    area = QScrollArea()
    area.setWidget(body)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFixedWidth(width)
    return area


def _dropped_paths(mime: QMimeData) -> list[Path]:
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
