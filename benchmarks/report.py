"""The table of the comparison: figures, ratios to the peers (above 1: thixo is faster), and the limit beside them."""


def number(v):
    """Three figures."""
    if v >= 100:
        return f"{v:,.0f}"
    return f"{v:.3g}"


def machine_line(about):
    return (
        f"{about['time']}, {about['cpu']}, {about['cores']} cores, "
        f"FMA peak {about['fma']:.0f} GFLOP/s, triad {about['triad']:.1f} GB/s."
    )


class Table:
    def __init__(self, about, peer):
        self.about, self.peer, self.rows = about, peer, []

    def head(self):
        peer = f"PyTorch in {self.peer}" if self.peer else "no PyTorch found"
        legend = "ratio: how many times faster than PyTorch (in brackets: than PyTorch tuned)"
        return f"{machine_line(self.about)} {peer}.\n{legend}"

    def add(self, row, results):
        """Keeps the row; returns it as lines of text."""
        found = {r.system.name: r for r in results if r.times}
        lines = [f"\n{row.title} ({row.unit})"]
        for r in results:
            if r.error:
                lines.append(f"  {r.system.name:15} failed: {r.error}")
                continue
            ours = r.system.module == "thixo"
            text = f"  {r.system.name:15} {number(row.value(r.seconds)):>10}"
            text += f"  spread {r.spread:4.2f}" + (f"  ratio {self._ratios(r, found)}" if ours else "")
            share = self._share(row, r)
            text += f"  {share}" if share else ""
            goal = row.goal(r.system)
            lines.append(text + (f"  goal {goal}" if ours and goal else ""))
            if ours:
                self.rows.append((row, r, found))
        return "\n".join(lines)

    @staticmethod
    def _ratios(result, found):
        def ratio(name):
            return f"{found[name].seconds / result.seconds:.2f}" if name in found else "-"

        return f"{ratio('torch')} ({ratio('torch+tuned')})"

    @staticmethod
    def _share(row, result):
        share = result.share(row)
        return f"{100 * share:.0f} % of {number(result.limit)} ({row.limit})" if share else ""

    def markdown(self):
        lines = [
            machine_line(self.about),
            "",
            "| what | unit | thixo | PyTorch | tuned | ratio (tuned) | share of the limit | to reach |",
            "|---|---|---:|---:|---:|---|---|---|",
        ]
        for row, result, found in self.rows:
            mode = " (compiled)" if result.system.compiled else " (without oneDNN)" if result.system.generated else ""
            peer = "torch+compile" if result.system.compiled and "torch" not in found else "torch"

            def figure(name, row=row, found=found):
                return number(row.value(found[name].seconds)) if name in found else "-"

            share = self._share(row, result)
            ratio = self._ratios(result, {**found, "torch": found[peer]} if peer in found else found)
            cells = [
                row.title + mode,
                row.unit,
                number(row.value(result.seconds)),
                figure(peer),
                figure("torch+tuned"),
                ratio,
                share,
                row.goal(result.system),
            ]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"
