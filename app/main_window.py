"""The window: its three columns, menus, docks and status bar, wired to the session and its parts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_log_path
from PySide6.QtCore import QByteArray, QMimeData, QSize, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
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
    QHBoxLayout,
    QMainWindow,
    QMenu,
    QMessageBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from lorun_engine import __version__
from lorun_engine.io import discard_unfinished
from lorun_engine.library.sets import LibrarySet

from . import problems
from .actions import ENTRIES, SAMPLE_ENTRIES, Actions
from .assembly import Parts
from .document.desktop import FilesAsked
from .document.recipe import WHOLE
from .document.reporting import report_lines, run_self_test
from .document.workshop import weights_files
from .job import is_thread_left
from .pages.adapters import AdaptersPage
from .pages.alignment import AlignmentPage
from .pages.preferences import PreferencesPage
from .pages.training import TrainingPage
from .pages.what_if import WhatIfPage
from .panels.aside import AsideCard
from .panels.check import CheckCard
from .panels.closing import Closing
from .panels.decode import DecodeCard
from .panels.exporting import ExportDialogs, folder_of
from .panels.files import (
    ask_adapter_files,
    ask_for_folder,
    ask_open_files,
    ask_open_library,
    ask_target_folder,
)
from .panels.folder import FolderDock
from .panels.help import HelpWindow, page_for
from .panels.log import LogDock
from .panels.measurement import MeasurementCard
from .panels.model import ModelCard
from .panels.problem import ProblemBar
from .panels.recent import RecentCard, title
from .panels.restoring import RestoreCard
from .panels.roles import RolesPage
from .panels.saving import SavingCard
from .panels.sessions import SessionDialogs
from .panels.shortcuts import ShortcutsOverlay
from .panels.status import StatusBar
from .panels.tour import Tour, steps
from .panels.training_card import TrainingCard
from .problems import Problem
from .resources import library_folders, samples
from .settings import RecentJob, settings_path, state_path
from .verbs import verbs_of
from .viewers.centre import CentreView
from .viewers.convergence import ConvergenceView
from .viewers.side_tabs import SideTabs
from .viewers.spectrum import SpectrumView
from .widgets import theme
from .widgets.icons import program_icon
from .widgets.keys import TEXT_FIELDS
from .widgets.side import SideBySide

APP_NAME = "LoRun"
LOG_HEIGHT = 200  # px at first


class MainWindow(QMainWindow):
    """Wiring only: what is open and decoded lives in the session."""

    first_painted = Signal()

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.parts, self.session = parts, parts.session
        self.setWindowTitle("LoRun")
        self.setWindowIcon(program_icon())
        self.setAcceptDrops(True)
        self.resize(QSize(1440, 900).boundedTo(self.screen().availableSize()))
        self.setMinimumSize(1180, 640)
        # Qt leaves out what fits no screen
        self.restoreGeometry(QByteArray.fromHex(parts.memory.settings.window.encode()))
        self._is_painted = False
        self._wear_theme()

        self.corrections = parts.corrections
        self.measurement_card = MeasurementCard(parts)
        self.model_card = ModelCard(parts)
        self.decode_card = DecodeCard(parts)
        self.check_card = CheckCard(parts)
        self.alignment_page: AlignmentPage | None = None  # made when it is first wanted
        self.aside_card = AsideCard(parts)
        self.what_if_page: WhatIfPage | None = None
        self.training_card = TrainingCard(parts)
        self.training_page: TrainingPage | None = None  # made when it is first wanted
        self.adapters_page: AdaptersPage | None = None  # likewise
        self.preferences_page: PreferencesPage | None = None  # likewise
        self.restore_card = RestoreCard(parts)
        self.recent_card = RecentCard(parts)
        self.problem_bar = ProblemBar()
        self.centre = CentreView(parts)
        self.export_dialogs = ExportDialogs(parts, self, self.centre.drawn)
        self.saving_card = SavingCard(parts, self.export_dialogs)
        self.spectrum = SpectrumView(parts)
        self.convergence = ConvergenceView(parts)
        self.side_tabs = SideTabs(parts, spectrum=self.spectrum, convergence=self.convergence)
        self.log_dock = LogDock(parts)
        self.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.log_dock)
        self.resizeDocks([self.log_dock], [LOG_HEIGHT], Qt.Orientation.Vertical)
        self.log_dock.hide()
        self.folder_dock = FolderDock(parts)
        self.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, self.folder_dock)
        self.restoreState(QByteArray.fromHex(parts.memory.settings.docks.encode()))
        self.setStatusBar(StatusBar(parts))
        self.roles_page = RolesPage(parts, self)
        self.shortcuts = ShortcutsOverlay(self, parts.wording)
        self.help: HelpWindow | None = None  # made when it is first wanted
        self._lay_out()
        docks, undock = (self.log_dock, self.folder_dock), self.restoration.undock
        self.session_dialogs = SessionDialogs(parts, self, cards=self.side_tabs, docks=docks, undock=undock)
        self.closing = Closing(parts, self, self.session_dialogs)

        self.actions_ = Actions(parts, self._verbs(), self)
        self.roles_page.addAction(self.actions_["help"])  # its key works there too
        self._make_menus()
        self._connect()
        self._show_document()
        theme.dress(self)

    # ---- making --------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        left = theme.column(
            self.measurement_card,
            self.aside_card,
            self.model_card,
            self.decode_card,
            self.check_card,
            self.saving_card,
            self.training_card,
            self.restore_card,
            self.recent_card,
            width=theme.LEFT_WIDTH,
        )
        body = QWidget()
        rows = QVBoxLayout(body)
        rows.setContentsMargins(theme.GRID, theme.GRID, theme.GRID, theme.GRID)
        rows.setSpacing(theme.GRID)
        columns = QHBoxLayout()
        columns.setSpacing(theme.GRID)
        columns.addWidget(left)
        self.restoration = SideBySide(self.centre, self.spectrum, self.side_tabs, name="Spectra")
        self.restoration.restore(self.parts.memory.settings.columns)
        self.pages = QStackedWidget()  # the restoration; full pages, such as the adapters', take its place
        self.pages.addWidget(self.restoration)
        columns.addWidget(self.pages, 1)
        rows.addWidget(self.problem_bar)
        rows.addLayout(columns, 1)
        self.setCentralWidget(body)
        tour = steps(
            open_files=self.measurement_card,
            decode=self.decode_card,
            save=self.saving_card,
            pictures=self.centre,
        )
        self.tour, session = Tour(self, self.parts.memory, tour), self.parts.session
        session.opened_changed.connect(lambda: self.tour.reach(1 if session.measurement else 0))
        session.restoration_changed.connect(lambda: self.tour.reach(2 if session.restoration.state == "done" else 0))

    def _verbs(self) -> dict[str, Callable[[], None] | QAction]:
        return {
            **verbs_of(self.parts),
            "open": self.ask_open,
            "open_folder": self.folder_dock.ask_open,
            "folder": self.folder_dock.toggleViewAction(),
            "add": self.ask_add,
            **self.export_dialogs.verbs(),
            "open_library": self.ask_open_library,
            "save_session": self.session_dialogs.save,
            "save_session_as": self.session_dialogs.save_as,
            "quit": self.close,
            "undo": self.corrections.createUndoAction(self, "Undo"),
            "redo": self.corrections.createRedoAction(self, "Redo"),
            "roles": self.show_roles,
            "preferences": self.show_preferences,
            "blink": self.centre.blink,
            "blink_on": self.centre.blink_by_itself,
            "lens": self.centre.compare.lay_lens,
            "play": self.centre.play,
            "several": self.centre.show_sets,
            "alignment": self.show_alignment,
            "what_if": self.show_what_if,
            "log": self.log_dock.toggleViewAction(),
            "undock": self.restoration.undock,
            "adapt": self.show_training,
            "adapters": self.show_adapters,
            "import_adapter": self.ask_import_adapters,
            "export_adapter": lambda: self.ask_export_adapter(self.parts.workshop.shown),
            "verify_adapter": self.verify_adapter,
            "help": self.show_help,
            "tour": self.tour.start,
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
            else:
                menu.addAction(self.actions_[entry.name])
        for name, entry in SAMPLE_ENTRIES.items():
            self.actions_[entry.name].setVisible(name in samples())
        self._show_recent()

    def _connect(self) -> None:
        parts, session = self.parts, self.session
        session.opened_changed.connect(self._show_document)
        session.restoration_changed.connect(self._show_document)
        session.stage_added.connect(self._show_curves)
        parts.memory.changed.connect(self._show_recent)
        parts.lanes.problem_raised.connect(self.problem_bar.show_problem)
        parts.exports.announced.connect(self.statusBar().showMessage)
        parts.decode_all.announced.connect(lambda sentence: self.statusBar().showMessage(sentence, 8000))
        parts.session_files.announced.connect(self.statusBar().showMessage)
        parts.session_files.saved.connect(lambda path: self.statusBar().showMessage(f"Saved {path}", 8000))
        parts.exports.exported.connect(lambda path: self.statusBar().showMessage(f"Wrote {path}", 8000))
        self.export_dialogs.copied.connect(lambda sentence: self.statusBar().showMessage(sentence, 5000))
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
        self.measurement_card.field_requested.connect(self.roles_page.ask)
        self.spectrum.export_requested.connect(self.export_dialogs.ask_spectra)
        self.side_tabs.export_requested.connect(self.export_dialogs.ask_regions)
        self.side_tabs.library_requested.connect(self.ask_open_library)
        self.roles_page.add_requested.connect(self.ask_add)
        self.recent_card.locate_requested.connect(self.relocate)
        self.problem_bar.report_requested.connect(self.copy_report)
        self.log_dock.report_requested.connect(lambda: self.copy_report())
        self.corrections.indexChanged.connect(self.actions_.update)  # a key that follows at once finds the rules of now
        QApplication.instance().focusChanged.connect(self._share_keys)
        QApplication.instance().styleHints().colorSchemeChanged.connect(self._wear_theme)
        parts.preferences.theme_chosen.connect(self._wear_theme)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape, where nothing else wants it, shows single bands again."""
        if event.key() == Qt.Key.Key_Escape and self.parts.ruler.range is not None:
            self.parts.ruler.clear()
        else:
            super().keyPressEvent(event)

    def _share_keys(self, _: QWidget | None, focused: QWidget | None) -> None:
        """Space presses the button or opens the box that has the focus; elsewhere it plays the stages.

        Escape in a field belongs to what is being written there, in a list to what drops down, and a full page leads
        back with it; elsewhere it cancels the decode.
        """
        if focused is None:
            return
        page = self.pages.currentWidget()
        is_in_page = self.pages.currentIndex() > 0 and (focused is page or page.isAncestorOf(focused))
        users = {
            "play": isinstance(focused, QAbstractButton | QComboBox | QAbstractItemView) or is_in_page,
            "cancel": isinstance(focused, TEXT_FIELDS | QComboBox) or is_in_page,
        }
        for name, has_use in users.items():
            context = Qt.ShortcutContext.WidgetShortcut if has_use else Qt.ShortcutContext.WindowShortcut
            self.actions_[name].setShortcutContext(context)

    # ---- documents -----------------------------------------------------------------------------------------------

    def ask_open(self) -> None:
        """Lets the user choose the files of one measurement."""
        if paths := ask_open_files(self, "Open a measurement with its mask or matrix", folder_of(self.parts)):
            self.session.open(paths)

    def ask_add(self) -> None:
        """Lets the user add files to what is open."""
        if paths := ask_open_files(self, "Add a mask, a matrix or a reference", folder_of(self.parts)):
            self.session.add(paths)

    def relocate(self, job: RecentJob) -> None:
        """Lets the user say where the missing files of a recent job are."""
        if folder := ask_for_folder(self, job):
            self.session.relocate_recent(job, folder)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if event.source() is None and _dropped_paths(event.mimeData()):  # and not dragged out of this window
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        if paths := _dropped_paths(event.mimeData()):
            event.acceptProposedAction()
            self.open_dropped(paths)

    def open_dropped(self, paths: list[Path]) -> None:
        """Opens a measurement's files or a folder, and brings adapter sets into the library."""
        if len(paths) == 1 and paths[0].is_dir():
            self.folder_dock.open(paths[0])
            return
        if sets := weights_files(paths):
            self.show_adapters()
            self.parts.workshop.import_files(sets)
        if others := [path for path in paths if path not in sets]:
            self.session.open(others)

    # ---- adapter sets --------------------------------------------------------------------------------------------

    def show_adapters(self) -> None:
        """Shows the page of the adapter sets."""
        if self.adapters_page is None:
            self.adapters_page = page = AdaptersPage(self.parts)
            page.closed.connect(lambda: self.show_page(None))
            page.import_requested.connect(self.ask_import_adapters)
            page.export_requested.connect(self.ask_export_adapter)
        self.show_page(self.adapters_page)

    def ask_import_adapters(self) -> None:
        """Lets the user choose the files of adapter sets and brings them into the library."""
        if paths := ask_adapter_files(self):
            self.show_adapters()
            self.parts.workshop.import_files(paths)

    def ask_export_adapter(self, entry: LibrarySet) -> None:
        """Lets the user choose a folder and writes a set and its backbone into it."""
        if folder := ask_target_folder(self, f"Export {entry.card.name} with its backbone"):
            self.show_adapters()
            self.parts.workshop.export(entry, folder)

    def verify_adapter(self) -> None:
        """Checks the set that is looked at, on the page that says what came of it."""
        self.show_adapters()
        self.parts.workshop.verify(self.parts.workshop.shown)

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
        self.actions_.cover(page is not None)

    def show_training(self) -> None:
        """Shows the page on which a set is adapted."""
        if self.training_page is None:
            self.training_page = TrainingPage(self.parts)
            self.training_page.closed.connect(lambda: self.show_page(None))
            self.training_page.open_requested.connect(self.ask_open)
        self.show_page(self.training_page)
        self.training_page.setFocus()

    def show_preferences(self) -> None:
        """Shows the page of what is chosen once."""
        if self.preferences_page is None:
            self.preferences_page = PreferencesPage(self.parts)
            self.preferences_page.closed.connect(lambda: self.show_page(None))
        self.show_page(self.preferences_page)
        self.preferences_page.setFocus()

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
        self._show_curves()

    def _show_curves(self) -> None:
        self.restoration.show_side(len(self.session.stages) > 0)  # empty plots say nothing

    def _show_recent(self) -> None:
        self._recent_menu.clear()
        for job in self.parts.memory.settings.recent:
            action = self._recent_menu.addAction(title(job))
            if job.missing:
                names = ", ".join(Path(path).name for path in job.missing)
                action.setText(f"{title(job)}  (locate {names}…)")
                action.triggered.connect(lambda _=False, job=job: self.relocate(job))
            else:
                action.triggered.connect(lambda _=False, job=job: self.session.open_recent(job))
        self._recent_menu.setEnabled(bool(self.parts.memory.settings.recent))

    # ---- checks ----------------------------------------------------------------------------------------------------

    def show_alignment(self) -> None:
        """Shows the page on which the mask is searched."""
        if self.alignment_page is None:
            self.alignment_page = AlignmentPage(self.parts)
            self.alignment_page.closed.connect(lambda: self.show_page(None))
        self.show_page(self.alignment_page)
        self.alignment_page.setFocus()

    def show_what_if(self) -> None:
        """Shows the page on which measurements are simulated."""
        if self.what_if_page is None:
            self.what_if_page = WhatIfPage(self.parts)
            self.what_if_page.closed.connect(lambda: self.show_page(None))
        self.show_page(self.what_if_page)
        self.what_if_page.setFocus()

    # ---- exports -------------------------------------------------------------------------------------------------

    def ask_open_library(self) -> None:
        """Lets the user choose a spectral library."""
        if path := ask_open_library(self, folder_of(self.parts)):
            self.side_tabs.show_card("Library")
            self.parts.spectral_library.open(path)

    # ---- help ----------------------------------------------------------------------------------------------------

    def show_help(self) -> None:
        """Shows the page of the help that tells of where the user is."""
        if self.help is None:
            self.help = HelpWindow(self)
        self.help.open_for(page_for(self.parts, QApplication.focusWidget(), self.pages.currentWidget()))

    def copy_report(self, problem: Problem | None = None) -> None:
        """Puts versions, device, shapes, the last lines of the log and the problem on the clipboard."""
        words = problems.report(report_lines(self.session), details=problem.details if problem else "")
        QGuiApplication.clipboard().setText(words)
        self.statusBar().showMessage("The report is on the clipboard", 5000)

    def self_test(self) -> None:
        """Runs the self-test in the worker, with its lines in the log."""
        self.log_dock.show()
        run_self_test(self.parts.lanes)

    def show_about(self) -> None:
        """Says what this is."""
        box = QMessageBox(self)
        box.setWindowTitle("About LoRun")
        box.setText(f"LoRun {__version__}")
        box.setInformativeText(
            "Decodes CASSI snapshots, compressive samples, low-resolution and low-light pictures, stage by stage.\n"
            "MIT licence. Colour: CIE 1931 standard observer, D65."
        )
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.open()

    # ---- looks ---------------------------------------------------------------------------------------------------

    def _wear_theme(self) -> None:
        """The user's choice, or that of the system."""
        theme.apply(QApplication.instance(), theme.chosen(QApplication.instance(), self.parts.memory.settings.theme))

    # ---- first and last ------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._is_painted:
            self._is_painted = True
            QTimer.singleShot(0, self.first_painted.emit)

    def closeEvent(self, event: QCloseEvent) -> None:
        if not self.closing.may_close():
            event.ignore()
            return
        self.restoration.close_windows()
        place, docks = (state.toHex().toStdString() for state in (self.saveGeometry(), self.saveState()))
        self.parts.memory.remember_window(place, self.restoration.state(), docks)
        self.parts.close(timeout_s=0.2 if self.parts.is_busy else 5.0)
        for beside in (self.roles_page, self.shortcuts, self.help):
            if beside is not None:
                beside.close()
        event.accept()


def run(files: list[Path], *, sample: str | None = None) -> int:
    """Opens the window with `files`, or with the built-in `sample` and its decode under way; its exit code."""
    app = QApplication.instance() or QApplication(sys.argv[:1])
    app.setApplicationName(APP_NAME)
    app.setApplicationVersion(__version__)
    app.setDesktopFileName(APP_NAME.lower())
    problems.keep_log(user_log_path(APP_NAME, appauthor=False))
    parts = Parts(library=library_folders(), settings_path=settings_path(), state_folder=state_path())
    problems.install(parts.lanes.problem_raised.emit)
    window = MainWindow(parts)
    desktop = FilesAsked(app)
    desktop.asked.connect(window.open_dropped)

    def start() -> None:
        parts.setup.load_engine()
        parts.training.find_runs()
        parts.autosave.find()
        asked = [*files, *desktop.begin()]
        parts.preferences.open_first(asked, sample=sample)
        if not asked and sample is None:
            window.tour.start_once()

    window.first_painted.connect(start)
    window.show()
    code = app.exec()
    if is_thread_left():
        discard_unfinished()
        os._exit(code)  # the user chose to leave; Qt would abort on destroying the running thread
    return code


def _dropped_paths(mime: QMimeData) -> list[Path]:
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]
