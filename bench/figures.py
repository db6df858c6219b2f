# SPDX-License-Identifier: LGPL-2.1-or-later
"""Medians and ratios, and how they are shown."""

import statistics

HEADINGS = (f"{'':34} {'reference':>12} {'':16} {'':>12} {'':10} {'ratio':>7}   {'middle half':15} all turns")


def spread(values):
    ordered = sorted(values)
    last = len(ordered) - 1
    return {"median": statistics.median(ordered), "quarter": ordered[(last + 1) // 4],
            "three quarters": ordered[last - (last + 1) // 4], "least": ordered[0], "most": ordered[-1]}


def sides(question, found):
    """found: each side's figures. The ratios are of time: below 1 is better than the reference."""
    reference = found[question.side_names()[0]]
    told = []
    for name, values in found.items():
        pairs = zip(values, reference)
        ratios = [ref / value if question.more_is_better() else value / ref for value, ref in pairs]
        told.append({"side": name, **spread(values), "figures": values, "ratio": spread(ratios)})
    return told


def short(figure):
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.1f}" if figure >= 10 else f"{figure:.3f}"


def table(answer):
    """The lines of one question."""
    name = answer["question"]
    for why in ("skipped", "failed"):
        if why in answer:
            lines = answer[why].strip().splitlines()
            return f"{name:34} {why}: {' ... '.join(lines[:1] + lines[1:][-1:])}"
    reference, *others = answer["sides"]
    lines = []
    for one in others or [reference]:
        ratio = one["ratio"]
        lines.append(
            f"{name:34} {short(reference['median']):>12} {one['side']:16} {short(one['median']):>12}"
            f" {answer['unit']:10} {ratio['median']:7.3f}   {ratio['quarter']:.3f} .."
            f" {ratio['three quarters']:.3f}  {ratio['least']:.3f} .. {ratio['most']:.3f}")
        name = ""
    lines += [f"{'':47} {side} skipped: {why}" for side, why in answer["without"].items()]
    return "\n".join(lines)


def print_host(facts):
    for what, told in facts.items():
        print(f"{what + ':':20} {told}")
    print()


def print_daemons(daemons):
    for options, facts in daemons.items():
        print(f"\nshmfs {options}")
        for what, told in facts.items():
            print(f"    {what + ':':16} {told}")
