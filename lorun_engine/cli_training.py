"""The commands `train`, `adapters` and `params` of the command line.

`COMMANDS` maps a command to its summary, the function that adds its flags, and the function that runs it. Training
events are one JSON object a line on stdout with `--events json`, and always in the run's `events.jsonl`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .cards import Card, cards_in, read_card
from .cli_flags import Commands, Context, tell
from .errors import FileError, LorunError, ModelError


def configure_train(parser: argparse.ArgumentParser) -> None:
    """Adds the flags of `lorun train`."""
    parser.add_argument("--task", choices=("cassi", "cs", "sr"), default="cassi")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder with training cubes or pictures")
    parser.add_argument("--mask", type=Path, action="append", default=[], help="mask file to train on (repeatable)")
    parser.add_argument("--photographs", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--recipe", metavar="NAME|FILE", help="default: the small one of the task")
    parser.add_argument("--out", type=Path, metavar="RUN", help="folder of the training")
    parser.add_argument("--resume", type=Path, metavar="RUN", help="go on with the training in this folder")
    parser.add_argument("--phase", choices=("backbone", "adapters"), help="only this phase (default: both)")
    parser.add_argument("--variant", choices=("lorun", "share", "block"))
    parser.add_argument("--stages", type=int, metavar="K")
    parser.add_argument("--gamma", type=float, metavar="PERCENT")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0, mps or auto (default cpu)")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads")
    parser.add_argument("--events", choices=("text", "json"), default="text")
    parser.add_argument(
        "--commands",
        action="store_true",
        help="obey pause, continue, validate, checkpoint, stop from stdin, one a line",
    )


def run_train(args: argparse.Namespace, context: Context) -> int:
    """`lorun train`: trains a backbone and its adapters, or goes on with a training.

    Words added to RUN/commands, one a line, are obeyed after a step: pause, continue, validate, checkpoint, stop.
    """
    import torch

    from .dataset import find_material
    from .device import require_device
    from .distributed import join_team
    from .steering import CommandFile, steered
    from .train import resume, train

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    team, device = join_team(require_device(args.device))
    if args.resume is not None:
        run, events = args.resume, resume(args.resume, device=device, team=team)
    else:
        if args.data is None or args.out is None:
            raise LorunError("A training needs --data FOLDER and --out RUN, or --resume RUN.")
        recipe = _recipe(args, context)
        material = find_material(args.data, task=recipe.task, masks=args.mask, photographs=args.photographs)
        phases = None if args.phase is None else [phase for phase in recipe.phases if _belongs(phase, args.phase)]
        run, events = args.out, train(recipe, material, args.out, phases=phases, device=device, team=team)
    if not team.leads:
        for _ in events:
            pass
        return 0
    events = steered(events, CommandFile(run), lambda: resume(run, device=device))
    with open(run / "events.jsonl", "a", encoding="utf-8") as log:
        for event in events:
            line = json.dumps({name: value for name, value in asdict(event).items() if value is not None})
            log.write(line + "\n")
            log.flush()
            if args.events == "json":
                print(line, flush=True)
            elif event.event != "step" or event.step % 50 == 1:
                tell(_sentence(event))
    return 0


def configure_adapters(parser: argparse.ArgumentParser) -> None:
    """Adds the actions of `lorun adapters` with their flags."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, summary: str, *sets: str, output: bool = False) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=summary)
        sub.add_argument("--json", action="store_true", help="one JSON document on stdout")
        for positional in sets:
            sub.add_argument(positional, metavar=positional.upper(), help="name of a set in the library, or a file")
        if output:
            sub.add_argument("-o", "--output", type=Path, required=True, help="file of the new set (.safetensors)")
        return sub

    action("list", "the sets of the library")
    action("show", "the card of a set, and what every stage changes", "set")
    action("verify", "whether a set and its backbone hold what their cards state", "set")
    action("diff", "how far two sets are apart, per stage", "first", "second")
    sub = action("scale", "all differences of a set times a factor", "set", output=True)
    sub.add_argument("--factor", type=float, required=True, metavar="S")
    sub = action("interpolate", "a set between two", "first", "second", output=True)
    sub.add_argument("--share", type=float, required=True, metavar="T", help="0 is the first set, 1 the second")
    sub.add_argument("--gamma", type=float, metavar="PERCENT", help="cut the ranks back to this rank factor")
    sub = action("ablate", "a set with one stage running the shared backbone", "set", output=True)
    sub.add_argument("--stage", type=int, required=True, metavar="K")
    sub = action("export", "copies of a set and its backbone for somebody else", "set")
    sub.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    sub = action("import", "check a set from a file and put it into the library", "set")


def run_adapters(args: argparse.Namespace, context: Context) -> int:
    """`lorun adapters`: lists, inspects and makes adapter sets."""
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
    from .parameters import parameter_table

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


def _recipe(args: argparse.Namespace, context: Context):
    """The recipe that `--recipe` names, with what the other flags change."""
    from .recipe import read_recipe

    path = Path(args.recipe or f"{args.task}-small")
    if path.suffix != ".toml" and context.resources is not None:
        path = context.resources / "recipes" / f"{path}.toml"
    recipe = read_recipe(path)
    network = recipe.network if args.stages is None else replace(recipe.network, num_stages=args.stages, num_blocks=1)
    training = recipe.training if args.seed is None else replace(recipe.training, seed=args.seed)
    return replace(
        recipe,
        network=network,
        training=training,
        variant=args.variant or recipe.variant,
        gamma=recipe.gamma if args.gamma is None else args.gamma,
    )


def _belongs(phase: str, asked: str) -> bool:
    return (phase == "adapters") == (asked == "adapters")  # the warm start belongs to the backbone


def _sentence(event) -> str:
    where = f"{event.phase} {event.step}" if event.phase else ""
    figures = [f"loss {event.loss:.5f}"] if event.loss is not None else []
    figures += [f"{name} {value:.3f}" for name, value in (event.metrics or {}).items()]
    return " ".join([event.event, where, *figures, f"({event.elapsed_s:.0f} s)", event.message or ""]).strip()


def _list(args: argparse.Namespace, context: Context) -> list[dict[str, Any]]:
    cards = list(cards_in(context.library))
    backbones = {card.hash: card.name for card in cards if card.kind == "backbone"}
    return [
        {
            "name": card.name,
            "task": card.task,
            "stages": card.fields["stages"],
            "gamma": card.fields["gamma"],
            "parameters": card.fields["num_parameters"],
            "backbone": backbones.get(card.fields["backbone_hash"]),
            "path": str(card.path),
        }
        for card in cards
        if card.kind == "adapters"
    ]


def _show(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    from .lora import energies

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
    from .lora import interpolated, truncated

    first, second = _pair(args, context)
    adapters, origin = interpolated(first.adapters, second.adapters, args.share), {}
    if args.gamma is not None:
        adapters, error = truncated(adapters, first.net.backbone.block_weights(1), args.gamma)
        origin = {"truncation_error": error}
    origin = {"interpolated": [first.name, second.name, args.share], **origin}
    return _written(args, context, first, adapters, origin)


def _export(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    return _copied(_set_card(args.set, context), context, args.output)


def _import(args: argparse.Namespace, context: Context) -> dict[str, Any]:
    if not context.library:
        raise FileError("There is no library folder to import into. Give one with --library.")
    card = read_card(Path(args.set))
    if any(known.name == card.name and known.hash != card.hash for known in cards_in(context.library)):
        raise FileError(f"The library already has another set named {card.name}. Rename the file first.")
    return _copied(card, context, context.library[-1])


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


def _set_card(name: str, context: Context) -> Card:
    """The card of the set `name` of the library, or of a file."""
    if Path(name).is_file():
        return read_card(Path(name))
    for card in cards_in(context.library):
        if card.kind == "adapters" and card.name == name:
            return card
    raise LorunError(
        f"The adapter set {name!r} is neither in the library nor a file. `lorun adapters list` names them."
    )


def _model(name: str, context: Context):
    from .model import load_model

    return load_model(_set_card(name, context).path, library=context.library)


def _pair(args: argparse.Namespace, context: Context):
    """Two models of one backbone."""
    first, second = _model(args.first, context), _model(args.second, context)
    if first.card["backbone_hash"] != second.card["backbone_hash"] or first.num_stages != second.num_stages:
        raise ModelError(
            f"{first.name} and {second.name} belong to different backbones or have different numbers of stages; "
            "two sets of one network were expected."
        )
    return first, second


def _written(args: argparse.Namespace, context: Context, model, adapters, origin: Mapping[str, Any]) -> dict[str, Any]:
    """The new set in its file; its metrics are no longer known."""
    from .model import save_adapters

    if args.output.suffix != ".safetensors":
        raise FileError(f"{args.output} was given for the new set; a name ending in .safetensors was expected.")
    if args.output.exists():
        raise FileError(f"{args.output} already exists. Choose another name.")
    card = {**model.card, "metrics": {}, "made_from": dict(origin)}
    changed = replace(model.with_adapters(adapters), card=card)
    digest = save_adapters(args.output, changed, backbone_hash=model.card["backbone_hash"])
    return {"output": str(args.output), "hash": digest, "parameters": adapters.num_parameters, **origin}


def _copied(card: Card, context: Context, folder: Path) -> dict[str, Any]:
    """The verified set and its backbone, copied into `folder`."""
    from .io import replacing
    from .model import load_model

    model = load_model(card.path, library=context.library)
    wanted = model.card["backbone_hash"]
    places = (card.path.parent, *context.library)
    backbone = next(known for known in cards_in(places) if known.kind == "backbone" and known.hash == wanted)
    folder.mkdir(parents=True, exist_ok=True)
    present = {known.hash for known in cards_in([folder])}
    written = []
    for source in (backbone, card):
        target = folder / source.path.name
        if source.hash in present:
            continue
        if target.exists():
            raise FileError(f"{target} already exists with other contents. Choose another folder.")
        with replacing(target) as temporary:
            Path(temporary).write_bytes(source.path.read_bytes())
        written.append(str(target))
    return {"name": card.name, "backbone": backbone.name, "written": written}


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
