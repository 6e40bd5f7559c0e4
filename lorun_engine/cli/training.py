"""The commands `train`, `adapters` and `params` of the command line.

`COMMANDS` maps a command to its summary, the function that adds its flags, and the function that runs it. Training
events are one JSON object a line on stdout with `--events json`, and always in the run's `events.jsonl`.
"""

from __future__ import annotations

import argparse
import json
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import FileError, LorunError, ModelError
from ..io import require_place
from ..io.quantities import duration
from ..io.reading import all_companions, all_fields
from ..library.cards import cards_in, unreadable_in
from ..library.sets import SUFFIX, Copied, export_set, find_set, import_set, verified
from ..schema import Factor, Percent, Seed, Stages, Threads
from ..task import DEFAULT, TASKS
from ..training.events import (
    Events,
    Finished,
    Moment,
    Noted,
    Remark,
    Result,
    Skipped,
    Step,
    Stopped,
    TrainEvent,
    Validated,
    line_of,
)
from ..training.run_folder import EVENTS, START, log_event, open_log
from .adapting import adaptation_of, configure_adapting, probe_documents
from .flags import Commands, Context, add_geometry, one, refuse, require_only, say_nothing_more, tell
from .interrupts import Listening, exit_code
from .queue import configure_queue, run_queue

if TYPE_CHECKING:
    from filelock import FileLock

    from ..library.model import Model
    from ..networks.lora import AdapterSet
    from ..training.distributed import Team
    from ..training.recipe import Recipe
    from ..training.state import Moved


def configure_train(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `lorun train`."""
    parser.add_argument(
        "--data",
        "--learn",
        type=one(Path),
        nargs="+",
        action="extend",
        metavar="PATH",
        help="folder with training cubes or pictures; for an adaptation also files",
    )
    add_geometry(parser, several_masks=True)
    parser.add_argument("--photographs", type=one(Path), action="append", default=[], metavar="FOLDER")
    parser.add_argument("--recipe", metavar="NAME|FILE", help="default: the small one of the task")
    parser.add_argument("--out", type=one(Path), metavar="RUN", help="folder of the training")
    parser.add_argument("--resume", type=one(Path), metavar="RUN", help="go on with the training in this folder")
    parser.add_argument("--phase", choices=("backbone", "adapters"), help="only this phase (default: both)")
    parser.add_argument(
        "--from",
        dest="begun_from",
        metavar="SET",
        help="train the adapters alone, and go on with those of this set; with --phase backbone its backbone alone",
    )
    parser.add_argument("--variant", choices=("lorun", "share", "block"))
    parser.add_argument("--stages", type=one(Stages), metavar="K")
    parser.add_argument("--gamma", type=one(Percent), metavar="PERCENT")
    parser.add_argument("--seed", type=one(Seed))
    parser.add_argument("--device", help="cpu, cuda:0, mps or auto (default cpu)")
    parser.add_argument("--threads", type=one(Threads), metavar="N", help="CPU threads (default: the quickest)")
    parser.add_argument("--events", choices=("text", "json"), help="default: text")
    configure_adapting(parser)
    configure_queue(parser)


def run_train(args: argparse.Namespace, context: Context) -> int:
    """`lorun train`: trains a backbone and its adapters, adapts a set to a camera, goes on with a training, or runs a
    queue of those.

    Words added to RUN/commands, one a line, are obeyed after a step: pause, continue, validate, checkpoint, preview,
    stop, discard. Told to end (SIGTERM, SIGHUP, Ctrl-C) or with nobody to read its events, it writes a checkpoint
    first.
    """
    if args.queue is not None:
        heeded = {"queue", "status"} if args.status else {"queue", "threads", "events"}
        require_only(args, heeded, "for a queue, as it is described in its file")
        return run_queue(args, context, configure_train, _run_one)
    if args.status or args.json:
        raise LorunError("--status and --json tell how the trainings of a queue stand. Name it with --queue FILE.")
    return _run_one(args, context)


_ALWAYS = {"device", "threads", "events"}
_ADAPTED = {
    "adapt",
    "route",
    "data",
    "check",
    "like",
    "noise",
    "random_masks",
    "steps",
    "set",
    "recipe",
    "seed",
    "task",
}


def _require_heeded(args: argparse.Namespace) -> None:
    """Refuses flags of another kind of training than the one that was asked for."""
    if args.resume is not None:
        known = {"resume", "data", "mask", "photographs", *_ALWAYS}  # where its files lie now
        require_only(args, known, "when a training is resumed: it goes on as it was begun")
    elif args.probe:
        known = {"probe", *_ADAPTED, *_ALWAYS, *all_fields(), *all_companions()}
        require_only(args, known, "for --probe, which tries every preset and writes nothing")
    elif args.adapt is not None:
        known = {"out", "name", "preset", *_ADAPTED, *_ALWAYS, *all_fields(), *all_companions()}
        require_only(args, known, "for an adaptation: its set says how it was trained")
    else:
        known = {"data", "photographs", "recipe", "out", "phase", "variant", "stages", "gamma", "seed", "task"}
        known |= {"mask", "ratio", "begun_from", *_ALWAYS}
        require_only(args, known, "for a training from the start: its recipe says all. To adapt a set, add --adapt")


def _run_one(args: argparse.Namespace, context: Context) -> int:
    """Begins or resumes one training and follows it to its end."""
    import torch

    from ..decoding.device import require_device
    from ..training.distributed import join_team
    from ..training.run_folder import held, run_lock
    from ..training.steering import CommandFile, steered
    from ..training.train import resume

    _require_heeded(args)
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    team, device = join_team(require_device(args.device or "cpu"))
    if args.probe:
        return _probe(args, context, device)
    run = args.resume or args.out
    if run is None:
        what = "A training needs --data FOLDER and" if args.adapt is None else "An adaptation needs"
        raise LorunError(f"{what} --out RUN, the folder of the training, or --resume RUN.")
    lock = run_lock(run)
    again = partial(resume, run, device=device, threads=args.threads, moved=_moved(args), team=team, lock=lock)
    events = _begun(args, context, device, team, lock) if args.resume is None else again()
    with ExitStack() as stack:
        commands = stack.enter_context(Listening(CommandFile(run) if team.leads else lambda: None))
        told = stack.enter_context(closing(steered(events, commands, again, team)))
        if team.leads:
            stack.enter_context(held(lock))  # in a pause too
            _follow(told, run, args, unheard=commands.leave)
        else:
            deque(told, maxlen=0)
        return 0 if commands.told is None else exit_code(commands.told)


def _moved(args: argparse.Namespace) -> Moved | None:
    """Where the files of a training that is resumed lie now, as far as that is said."""
    from ..training.state import Moved

    if args.resume is None:
        return None
    return Moved(tuple(args.data or ()), tuple(map(Path, args.mask)), tuple(args.photographs))


def _begun(args: argparse.Namespace, context: Context, device: str, team: Team, lock: FileLock) -> Events:
    """The events of a new training."""
    from ..training.train import train
    from ..training_data.dataset import find_material

    if args.adapt is not None:
        return _adaptation_begun(args, context, device, team, lock)
    if args.data is None:
        raise LorunError("A training needs --data FOLDER and --out RUN, the folder of the training, or --resume RUN.")
    if len(args.data) != 1:
        raise LorunError(f"{len(args.data)} paths were given with --data; a training from the start takes one folder.")
    recipe = _recipe(args, context)
    if TASKS[recipe.task].is_photograph:
        foreign = ("mask",) if TASKS[recipe.task].pairs else ("mask", "photographs")
        refuse([f"--{name}" for name in foreign if getattr(args, name)], f"for {TASKS[recipe.task].short}")
    masks = [Path(mask) for mask in args.mask]
    material = find_material(args.data[0], task=recipe.task, masks=masks, photographs=args.photographs)
    asked = args.phase or (None if args.begun_from is None else "adapters")
    phases = [phase for phase in recipe.phases if asked is None or _belongs(phase, asked)]
    if not phases:
        raise LorunError(f"The recipe has no steps for {asked or 'any phase'}; give it some, or choose another.")
    start = None if args.begun_from is None else _copied_start(args, context, team, lock)
    events = train(recipe, material, args.out, phases=phases, start=start, device=device, team=team, lock=lock)
    return _told_first((), material.notes, events)


def _copied_start(args: argparse.Namespace, context: Context, team: Team, lock: FileLock) -> Model:
    """The set that the training goes on with, from copies of it and of its backbone in the training's folder."""
    from ..io import made_folder
    from ..library.model import load_model
    from ..training.run_folder import held, require_new

    card = find_set(args.begun_from, context.library)
    if team.leads:
        made_folder(args.out)
        with held(lock):
            require_new(args.out)
            export_set(card, context.library, args.out)
    team.wait()
    return load_model(args.out / f"{card.name}{SUFFIX}")


def _adaptation_begun(args: argparse.Namespace, context: Context, device: str, team: Team, lock: FileLock) -> Events:
    """The same of an adaptation; what there is to say of its files comes before its own events."""
    from ..io import made_folder
    from ..training.adapting import write_plan
    from ..training.run_folder import held
    from ..training.train import train

    if team.size > 1:
        raise LorunError("An adaptation runs in one process. Start it without torchrun.")
    adaptation, recipe = adaptation_of(args, context)
    learned = adaptation.learned
    made_folder(args.out)
    with held(lock):
        material = adaptation.into(args.out)
        write_plan(material, recipe, learned)
        skipped, notes = ((), ()) if learned is None else (learned.skipped, learned.notes)
        return _told_first(skipped, notes, train(recipe, material, args.out, device=device, lock=lock))


def _told_first(skipped: Iterable[tuple[Path, str]], notes: Iterable[str], events: Events) -> Events:
    """What there is to say of the files, then `events`, which are sent what this is sent and closed with it."""
    for path, reason in skipped:
        yield Skipped(0.0, str(path), reason)
    for note in notes:
        yield Noted(0.0, note)
    yield from events


def _probe(args: argparse.Namespace, context: Context, device: str) -> int:
    """`lorun train --adapt SET --probe`: events "probing" while it measures, then one "probe"."""
    if args.adapt is None:
        raise LorunError("--probe measures an adaptation. Name the set with --adapt.")
    documents = probe_documents(args, context, device)
    while True:
        try:
            document = next(documents)
        except StopIteration as end:
            document = end.value
            break
        if args.events == "json":
            print(json.dumps(document), flush=True)
    if args.events == "json":
        print(json.dumps(document), flush=True)
        return 0
    tell(document["message"])
    if document["path"] is not None:
        tell(document["path"])
    for name, cost in document["presets"].items():
        tell(f"{name}: {cost['steps']} steps, about {duration(cost['seconds'])}")
    return 0


def _follow(events: Generator[TrainEvent], run: Path, args: argparse.Namespace, *, unheard: Callable[[], None]) -> None:
    """Writes the events down and tells them; at the end of an adaptation the report is written.

    `unheard` is called when nobody listens any more: a window that was killed, or `| head`.
    """
    from ..training.adapting import with_ends
    from ..training.report import write_report

    told = with_ends(events, run) if (run / START).is_file() else events
    with open_log(run / EVENTS) as log, closing(told):
        for event in told:
            log_event(log, event)
            if isinstance(event, Finished | Stopped) and event.result is not None:
                write_report(run)
            if args.events == "json":
                try:
                    print(line_of(event), flush=True)
                except OSError:
                    say_nothing_more()
                    unheard()
            elif not isinstance(event, Step) or event.step % 50 == 1:
                tell(_sentence(event))


def configure_adapters(parser: argparse.ArgumentParser) -> None:
    """Adds the actions of `lorun adapters` with their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, summary: str, *sets: str, output: bool = False) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=summary)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
        for positional in sets:
            sub.add_argument(positional, metavar=positional.upper(), help="name of a set in the library, or a file")
        if output:
            sub.add_argument("-o", "--output", type=one(Path), required=True, help="file of the new set (.safetensors)")
        return sub

    action("list", "the sets of the library")
    action("show", "the card of a set, and what every stage changes", "set")
    action("verify", "whether a set and its backbone hold what their cards state", "set")
    action("diff", "how far two sets are apart, per stage", "first", "second")
    sub = action("scale", "all differences of a set times a factor", "set", output=True)
    sub.add_argument("--factor", type=one(Factor), required=True, metavar="S")
    sub = action("interpolate", "a set between two", "first", "second", output=True)
    sub.add_argument("--share", type=one(Factor), required=True, metavar="T", help="0 is the first set, 1 the second")
    sub.add_argument("--gamma", type=one(Percent), metavar="PERCENT", help="cut the ranks back to this rank factor")
    sub = action("ablate", "a set with one stage running the shared backbone", "set", output=True)
    sub.add_argument("--stage", type=one(Stages), required=True, metavar="K")
    sub = action("export", "copies of a set and its backbone for somebody else", "set")
    sub.add_argument("-o", "--output", type=one(Path), required=True, metavar="FOLDER")
    sub.add_argument("--half", action="store_true", help="factors of 16 bits: half the size, a hash of its own")
    sub = action("import", "check a set from a file and put it into the library", "set")


def run_adapters(args: argparse.Namespace, context: Context) -> int:
    """`lorun adapters`: lists, inspects and makes adapter sets."""
    if args.action in ("scale", "interpolate", "ablate"):
        _require_new(args.output)
    report = _ACTIONS[args.action](args, context)
    if args.json:
        print(json.dumps(report, indent=2, allow_nan=False))
    else:
        _print_report(report)
    return 0


def configure_params(parser: argparse.ArgumentParser) -> None:
    """`lorun params` has no flags of its own."""
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")


def run_params(args: argparse.Namespace, context: Context) -> int:
    """`lorun params`: parameter counts of our models beside the paper's."""
    from ..paper.parameters import parameter_table

    rows = parameter_table()
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'':5s} {'model':19s} {'variant':8s} {'parameters':>11s} {'paper':>13s} {'GMAC':>8s}  counted")
    for row in rows:
        paper = "" if row["paper"] is None else f"{row['paper']:.2f} x {row['unit']}"
        print(
            f"{row['table']:5s} {row['model']:19s} {row['variant']}-{row['stages']:<2d} {row['parameters']:>11,d} "
            f"{paper:>13s} {row['gmac']:8.2f}  {row['counted']}"
        )
    return 0


COMMANDS: Commands = {
    "train": ("train a backbone and its adapters", configure_train, run_train),
    "adapters": ("list, inspect, combine and share adapter sets", configure_adapters, run_adapters),
    "params": ("parameter counts beside the paper's", configure_params, run_params),
}


def _recipe(args: argparse.Namespace, context: Context) -> Recipe:
    """The recipe that `--recipe` names, with what the other flags change."""
    from ..training.recipe import read_recipe

    path = Path(args.recipe or f"{args.task or DEFAULT}-small")
    if path.suffix != ".toml" and context.resources is not None:
        path = context.resources / "recipes" / f"{path}.toml"
    recipe = read_recipe(path)
    if args.task not in (None, recipe.task):
        raise LorunError(
            f"The recipe {path.stem} is for {recipe.task}; --task {args.task} was given. Choose one of both."
        )
    if args.gamma is not None and (args.variant or recipe.variant) != "lorun":
        refuse(["--gamma"], f"for the variant {args.variant or recipe.variant}, which has no adapters")
    network = recipe.network if args.stages is None else replace(recipe.network, num_stages=args.stages, num_blocks=1)
    training = recipe.training if args.seed is None else replace(recipe.training, seed=args.seed)
    training = training if args.threads is None else replace(training, threads=args.threads)
    if args.ratio is not None and not hasattr(recipe.data, "ratio"):
        raise LorunError(f"--ratio is for compressive sampling; the recipe {path.stem} is for {recipe.task}.")
    return replace(
        recipe,
        network=network,
        data=recipe.data if args.ratio is None else replace(recipe.data, ratio=args.ratio),
        training=training,
        variant=args.variant or recipe.variant,
        gamma=recipe.gamma if args.gamma is None else args.gamma,
    )


def _belongs(phase: str, asked: str) -> bool:
    return (phase == "adapters") == (asked == "adapters")  # the warm start belongs to the backbone


def _sentence(event: TrainEvent) -> str:
    words = [event.event]
    if isinstance(event, Moment):
        words.append(f"{event.phase} {event.step}")
    match event:
        case Step():
            words.append(f"loss {event.loss:.5f}")
        case Validated(metrics=metrics) | Finished(result=Result(metrics)) | Stopped(result=Result(metrics)):
            words += [f"{name} {value:.3f}" for name, value in metrics.items()]
    words.append(f"({duration(event.elapsed_s)})")
    if isinstance(event, Skipped | Noted | Remark):
        words.append(event.message)
    return " ".join(words)


def _list(args: argparse.Namespace, context: Context) -> list[dict[str, Any]]:
    cards = list(cards_in(context.library))
    backbones = {card.hash: card.name for card in cards if card.kind == "backbone"}
    problems = [
        {"name": own.name, "path": str(own.path), "problem": own.reason} for own in unreadable_in(context.library)
    ]
    return problems + [
        {
            "name": card.name,
            "task": card.task,
            "stages": card.fields["stages"],
            "gamma": card.fields.get("gamma"),
            "parameters": card.fields.get("num_parameters"),
            "backbone": backbones.get(card.fields["backbone_hash"]),
            "path": str(card.path),
        }
        for card in cards
        if card.kind == "adapters"
    ]


def _show(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    from ..networks.lora import energies

    model = _model(args.set, context)
    rows = energies(model.adapters, model.net.backbone.block_weights(1))
    return {"name": model.name, "task": model.task, **model.card, "energies": [asdict(row) for row in rows]}


def _verify(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    model = _model(args.set, context)  # reading checks both hashes
    return {
        "name": model.name,
        "hash": model.card["hash"],
        "backbone_hash": model.card["backbone_hash"],
        "verified": True,
    }


def _diff(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    import torch

    first, second = _pair(args, context)
    backbone, stages = first.net.backbone.block_weights(1), []
    for stage in range(1, first.num_stages + 1):
        a, b = (model.adapters.weights(backbone, stage) for model in (first, second))
        apart = torch.stack([(a[name] - b[name]).square().sum() for name in backbone]).sum().sqrt()
        size = torch.stack([(a[name] - backbone[name]).square().sum() for name in backbone]).sum().sqrt()
        stages.append({"stage": stage, "distance": float(apart), "relative": float(apart / size) if size else None})
    return {
        "first": first.name,
        "second": second.name,
        "equal": first.card["hash"] == second.card["hash"],
        "stages": stages,
    }


def _scale(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    model = _model(args.set, context)
    return _written(args, context, model, model.adapters.scaled(args.factor), {"scaled": [model.name, args.factor]})


def _ablate(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    model = _model(args.set, context)
    return _written(args, context, model, model.adapters.ablated(args.stage), {"ablated": [model.name, args.stage]})


def _interpolate(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    from ..networks.lora import interpolated, truncated

    first, second = _pair(args, context)
    adapters = interpolated(first.adapters, second.adapters, args.share)
    origin: dict[str, Any] = {"interpolated": [first.name, second.name, args.share]}
    if args.gamma is not None:
        adapters, error = truncated(adapters, first.net.backbone.block_weights(1), args.gamma)
        origin["truncation_error"] = error
    return _written(args, context, first, adapters, origin)


def _export(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    card = find_set(args.set, context.library)
    return _copies(export_set(card, context.library, args.output, half=args.half))


def _import(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    return _copies(import_set(Path(args.set), context.library))


_ACTIONS: Mapping[str, Callable[[argparse.Namespace, Context], Any]] = {
    "list": _list,
    "show": _show,
    "verify": _verify,
    "diff": _diff,
    "scale": _scale,
    "interpolate": _interpolate,
    "ablate": _ablate,
    "export": _export,
    "import": _import,
}


def _model(name: str, context: Context) -> Model:
    model, _ = verified(find_set(name, context.library), context.library)
    return model


def _pair(args: argparse.Namespace, context: Context) -> tuple[Model, Model]:
    """Two models of one backbone."""
    first, second = _model(args.first, context), _model(args.second, context)
    if first.card["backbone_hash"] != second.card["backbone_hash"] or first.num_stages != second.num_stages:
        raise ModelError(
            f"{first.name} and {second.name} belong to different backbones or have different numbers of stages; "
            "two sets of one network were expected."
        )
    return first, second


def _require_new(path: Path) -> None:
    """Refuses what no new set can be written to."""
    if path.suffix != ".safetensors":
        raise FileError(f"{path} was given for the new set; a name ending in .safetensors was expected.")
    if path.exists():
        raise FileError(f"{path} already exists. Choose another name.")
    require_place(path)


def _written(
    args: argparse.Namespace, context: Context, model: Model, adapters: AdapterSet, origin: Mapping[str, Any]
) -> dict[str, Any]:
    """The new set in its file; its metrics are no longer known."""
    from ..library.model import save_adapters

    card = {**model.card, "metrics": {}, "made_from": dict(origin)}
    changed = replace(model.with_adapters(adapters), card=card)
    digest = save_adapters(args.output, changed, backbone_hash=model.card["backbone_hash"])
    return {"output": str(args.output), "hash": digest, "parameters": adapters.num_parameters, **origin}


def _copies(copied: Copied) -> dict[str, Any]:
    return {"name": copied.name, "backbone": copied.backbone, "written": list(map(str, copied.written))}


def _print_report(report: Any) -> None:
    """A report for people: one line per entry, the layers of `show` summed up per stage."""
    if isinstance(report, list):
        for row in report:
            print("  ".join(f"{key}={value}" for key, value in row.items()))
        return
    rows = report.pop("energies", None)
    for key, value in report.items():
        print(f"{key}: {value if isinstance(value, str) else json.dumps(value)}")
    for stage in sorted({row["stage"] for row in rows or ()}):
        own = [row for row in rows if row["stage"] == stage]
        ranked = [row["effective_rank"] for row in own if row["effective_rank"] is not None]
        largest = max(own, key=lambda row: row["ratio"])
        rank = sum(ranked) / len(ranked) if ranked else 0
        change = f"{largest['ratio']:.3f} at {largest['layer']}"
        print(f"stage {stage}: mean effective rank {rank:.1f}, largest change {change}")
