"""Trees without branches, for tables: one look-up for a column instead of a walk through each tree.

Most of the time that a tree takes goes into branches the processor guessed wrong. Here a tree of at most 64 leaves is a
word of one bit for each leaf. What a cell decides, at all nodes of a tree that split on its feature, rules leaves out;
that depends only on which of the forest's thresholds the cell lies between. So a feature's *codes* number those
intervals, and its *table* holds, for each code, the words of all trees. The words of a row are the intersection of its
cells' words: one bit is left in each, that of the leaf the row ends in.

Decisions, the order in which leaves are added and the rounding are LightGBM's, and the way from the sum to the answer
is walked by the library itself. A forest is compared with the library over every code of every feature when it is
built, and not used if one bit differs.

References
----------
C. Lucchese and others, "QuickScorer: a fast algorithm to rank documents with additive ensembles of regression trees",
SIGIR 2015. C. Leiserson, H. Prokop, K. Randall, "Using de Bruijn sequences to index a 1 in a computer word", 1998.
LightGBM, ``include/LightGBM/tree.h``: ``NumericalDecision`` and ``CategoricalDecision``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from arkwright.bundles.cells import FloatArray
from arkwright.bundles.evaluators.bins import Bins, Codes
from arkwright.bundles.evaluators.lightgbm_library import Booster
from arkwright.bundles.evaluators.ports import Evaluator

Words = npt.NDArray[np.unsignedinteger[Any]]

MAX_LEAVES = 64
MAX_TABLE_BYTES = 1 << 25
"""Of all features together; beyond it the tables would not stay in a cache anyway."""

_ZERO = float(np.float32(1e-35))  # kZeroThreshold: what LightGBM takes for zero
_CATEGORY, _DEFAULT_LEFT = 1, 2  # bits of decision_type; bits 2 and 3 say what counts as missing
_MISSING_ZERO, _MISSING_NAN = 1, 2
_LARGEST_CODE = float(1 << 31)
_WORD_BYTES = 8
_BLOCK_WORDS = 1 << 15  # of rows that are scored together: the steps in between stay in the cache
_LEAST_BLOCK_ROWS = 64
_CHECKED_ROWS = 512

# A de Bruijn sequence for each width: its product with a power of two has the exponent's number in the upper bits.
_SEQUENCES = {32: 0x077CB531, 64: 0x03F79D71B4CB0A89}

_SUPPORTED = {"lightgbm": ("model.txt", True), "trees": ("trees.txt", False)}


def leaf_masks(evaluator: Evaluator) -> LeafMasks | None:
    """Return an evaluator's trees in this form, or None if they do not fit it: too many leaves, or no trees at all."""
    if evaluator.kind not in _SUPPORTED:
        return None
    file, flushes = _SUPPORTED[evaluator.kind]
    header, trees = _read(evaluator.dump().files[file].decode())
    n_outputs = evaluator.n_outputs
    if len(trees) % n_outputs or header.get("num_tree_per_iteration") != str(n_outputs):
        return None
    if any(tree.get("is_linear", "0") != "0" or int(tree["num_leaves"]) > MAX_LEAVES for tree in trees):
        return None
    forest = [_Tree.of(number, tree) for number, tree in enumerate(trees)]
    n_codes = sum(_cuts(nodes, flushes).size + 2 for nodes in _by_feature(forest).values())
    if not n_codes or n_codes * len(forest) * _WORD_BYTES > MAX_TABLE_BYTES:
        return None
    found = LeafMasks(header, forest, n_features=evaluator.n_features, n_outputs=n_outputs, flushes=flushes)
    sample = found.sample()
    return found if np.array_equal(found.scores_matrix(sample), evaluator.scores_matrix(sample)) else None


class LeafMasks:
    """A forest as tables of masks; safe to use from several threads.

    Parameters
    ----------
    header
        What a LightGBM model text says before its first tree.
    trees
        By round, and within a round one per output.
    flushes
        Whether a number within 1e-35 of zero counts as zero, as in LightGBM's dense calls.

    Attributes
    ----------
    depth
        Of the trees, if they were balanced; the mean.
    """

    def __init__(
        self, header: Mapping[str, str], trees: Sequence[_Tree], *, n_features: int, n_outputs: int, flushes: bool
    ) -> None:
        self.n_features, self.n_outputs, self.n_trees = n_features, n_outputs, len(trees)
        bits = 32 if max(tree.values.size for tree in trees) <= 32 else 64
        self._type = np.dtype(f"uint{bits}")
        self.depth = float(np.log2([tree.values.size for tree in trees]).mean())
        self._multiplier = self._type.type(_SEQUENCES[bits])
        self._shift = self._type.type(bits - int(np.log2(bits)))
        self._offsets = (np.arange(self.n_trees) * bits).astype(self._type)
        self._values = self._by_product(trees, bits)
        self._all = np.array([(1 << tree.values.size) - 1 for tree in trees], dtype=self._type)
        self._cuts: dict[int, Bins] = {}
        self._tables: dict[int, Words] = {}
        for feature, nodes in sorted(_by_feature(trees).items()):
            cuts = _cuts(nodes, flushes)
            self._cuts[feature] = Bins(cuts)
            self._tables[feature] = self._table(nodes, np.append(cuts, [np.inf, np.nan]), flushes)
        self._n_averaged = self.n_trees // n_outputs if "average_output" in header else 1
        self._link = None if "objective" not in header else Booster(_link_text(header, n_outputs), every_cell=True)

    @property
    def row_bytes(self) -> int:
        """Size of the words of one row, or of one code."""
        return self.n_trees * self._type.itemsize

    @property
    def features(self) -> tuple[int, ...]:
        """The features that a tree splits on."""
        return tuple(self._tables)

    def codes(self, feature: int, values: FloatArray) -> Codes:
        """Return the code of each value of a feature."""
        return self._cuts[feature].of(values)

    def table(self, feature: int) -> Words:
        """Return the words of all trees for each code of a feature, of shape (n_codes, n_trees)."""
        return self._tables[feature]

    def scores(self, lookups: Sequence[tuple[Codes, Words]]) -> FloatArray:
        """Score rows.

        Parameters
        ----------
        lookups
            Codes of the rows and what each code stands for; every feature in one of them.

        Returns
        -------
        FloatArray
            Of shape (n_rows, n_outputs).
        """
        n_rows = lookups[0][0].size
        sums = np.empty((n_rows, self.n_outputs))
        n_block = max(_LEAST_BLOCK_ROWS, min(n_rows, _BLOCK_WORDS // self.n_trees))
        words, more = (np.zeros((n_block, self.n_trees), dtype=self._type) for _ in range(2))
        places, leaves = np.empty((self.n_trees, n_block), dtype=np.intp), np.empty((self.n_trees, n_block))
        for start in range(0, n_rows, n_block):
            size = min(n_block, n_rows - start)
            found, other = words[:size], more[:size]
            found[:] = self._all
            for codes, table in lookups:
                table.take(codes[start : start + size], axis=0, out=other, mode="clip")
                np.bitwise_and(found, other, out=found)
            # The last block's rest is computed too, and means nothing.
            np.multiply(words, self._multiplier, out=words)
            np.right_shift(words, self._shift, out=words)
            np.add(words, self._offsets, out=words)
            np.copyto(places, words.T, casting="unsafe")
            self._values.take(places, out=leaves, mode="clip")
            # Along the first axis of several rows NumPy adds one round after the other, as the library does; of a
            # single row it would add them in pairs.
            by_round = leaves.reshape(-1, self.n_outputs, n_block)
            sums[start : start + size] = np.add.reduce(by_round, axis=0).T[:size]
        if self._n_averaged > 1:
            sums /= self._n_averaged
        return sums if self._link is None else self._link.scores_matrix(sums)

    def scores_matrix(self, X: FloatArray) -> FloatArray:
        """Score a matrix of shape (n_rows, n_features)."""
        return self.scores([(self.codes(feature, X[:, feature]), table) for feature, table in self._tables.items()])

    def sample(self) -> FloatArray:
        """Return rows in which each code of each feature occurs, and neighbours of the thresholds."""
        rng = np.random.default_rng(0)
        columns = {}
        for feature, bins in self._cuts.items():
            with np.errstate(over="ignore"):
                above = np.nextafter(bins.cuts, np.inf)
            columns[feature] = rng.permutation(
                np.concatenate((bins.cuts, above, [-np.inf, np.inf, np.nan, 0.0, 1e-40]))
            )
        n_rows = max(_CHECKED_ROWS, *(values.size for values in columns.values()))
        X = np.zeros((n_rows, self.n_features))
        for feature, values in columns.items():
            X[:, feature] = np.resize(values, n_rows)
        return X

    def _by_product(self, trees: Sequence[_Tree], bits: int) -> FloatArray:
        """Return the leaves' values where the product of a word of one bit says, one tree after the other."""
        words = self._type.type(1) << np.arange(bits, dtype=self._type)
        places = ((words * self._multiplier) >> self._shift).astype(np.intp)
        values = np.zeros((len(trees), bits))
        for tree, found in zip(trees, values, strict=True):
            found[places[: tree.values.size]] = tree.values
        # The library starts from 0.0, to which -0.0 adds nothing either.
        return (values + 0.0).ravel()

    def _table(self, nodes: Sequence[_Node], cells: FloatArray, flushes: bool) -> Words:
        table = np.empty((cells.size, self.n_trees), dtype=self._type)
        table[:] = self._all
        small = np.abs(cells) <= _ZERO
        cells = np.where(small, 0.0, cells) if flushes else cells
        for node in nodes:
            left, right = self._type.type(node.left), self._type.type(node.right)
            table[:, node.tree] &= np.where(node.goes_left(cells), ~right, ~left)
        return table


@dataclass(frozen=True, slots=True)
class _Node:
    """A split: the leaves below its left and its right side as words, and how it decides."""

    tree: int
    left: int
    right: int
    feature: int
    threshold: float
    decision: int
    codes: npt.NDArray[np.int64] | None

    def goes_left(self, cells: FloatArray) -> npt.NDArray[np.bool_]:
        missing = np.isnan(cells)
        if self.codes is not None:
            known = ~missing & (cells > -1.0) & (cells < _LARGEST_CODE)
            return known & np.isin(np.where(known, cells, -1.0).astype(np.int64), self.codes)
        kind = self.decision >> 2 & 3
        if kind != _MISSING_NAN:
            cells = np.where(missing, 0.0, cells)
            missing = np.abs(cells) <= _ZERO if kind == _MISSING_ZERO else np.zeros(cells.shape, dtype=np.bool_)
        with np.errstate(invalid="ignore"):
            return np.where(missing, bool(self.decision & _DEFAULT_LEFT), cells <= self.threshold)


@dataclass(frozen=True, slots=True)
class _Tree:
    """What the leaves of a tree add, and its nodes."""

    values: FloatArray
    nodes: tuple[_Node, ...]

    @classmethod
    def of(cls, number: int, entries: Mapping[str, str]) -> _Tree:
        """Read the tree of this number in the forest."""
        values = np.array(entries["leaf_value"].split(), dtype=np.float64)
        if values.size < 2:
            return cls(values, ())
        left, right, features, decisions = (
            list(map(int, entries[key].split()))
            for key in ("left_child", "right_child", "split_feature", "decision_type")
        )
        thresholds = list(map(float, entries["threshold"].split()))
        below = _leaves_below(list(zip(left, right, strict=True)))
        nodes = []
        for node in range(len(left)):
            codes = _left_codes(entries, int(thresholds[node])) if decisions[node] & _CATEGORY else None
            sides = below[left[node]], below[right[node]]
            nodes.append(_Node(number, *sides, features[node], thresholds[node], decisions[node], codes))
        return cls(values, tuple(nodes))


def _left_codes(entries: Mapping[str, str], place: int) -> npt.NDArray[np.int64]:
    """Return the category codes that go left, from their bits in words of 32."""
    start, stop = map(int, entries["cat_boundaries"].split()[place : place + 2])
    words = np.array(entries["cat_threshold"].split()[start:stop], dtype="<u4")
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little"))


def _leaves_below(children: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Return, for each node and each leaf (the complement of its number), the word of the leaves below it."""
    found = {child: 1 << ~child for pair in children for child in pair if child < 0}
    waiting = [0]
    while waiting:
        node = waiting[-1]
        missing = [child for child in children[node] if child not in found]
        if missing:
            waiting += missing
            if len(waiting) > len(children):
                raise ValueError("a node of the tree is its own ancestor")
        else:
            found[node] = found[children[node][0]] | found[children[node][1]]
            waiting.pop()
    return found


def _by_feature(trees: Iterable[_Tree]) -> dict[int, list[_Node]]:
    found: dict[int, list[_Node]] = {}
    for tree in trees:
        for node in tree.nodes:
            found.setdefault(node.feature, []).append(node)
    return found


def _cuts(nodes: Iterable[_Node], flushes: bool) -> FloatArray:
    """Return numbers between which a feature's nodes decide alike; a cell that is none of them is like the next one."""
    cuts: set[float] = set()
    for node in nodes:
        if node.codes is not None:
            # A cell counts as the whole number towards zero; negative ones are no category.
            cuts.add(-1.0)
            for edge in {edge for code in node.codes.tolist() for edge in (code, code + 1)} - {0}:
                cuts.add(float(np.nextafter(edge, 0.0)))
            continue
        cuts.add(node.threshold)
        if (node.decision >> 2 & 3) == _MISSING_ZERO or (flushes and -_ZERO <= node.threshold < _ZERO):
            cuts.update((float(np.nextafter(-_ZERO, -np.inf)), _ZERO))
    return np.array(sorted(cuts))


def _read(text: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the header's and the trees' entries of a model text."""
    blocks = text.split("\nend of trees", 1)[0].split("\nTree=")
    first, *others = (
        {key: value for key, _, value in (line.partition("=") for line in block.splitlines())} for block in blocks
    )
    return first, others


def _link_text(header: Mapping[str, str], n_outputs: int) -> str:
    """Return the text of a model of which each tree answers its own feature, and which has the header's objective."""
    lines = ["tree"]
    lines += [f"{key}={header[key]}" for key in ("version", "num_class", "num_tree_per_iteration", "label_index")]
    lines += [f"max_feature_idx={n_outputs - 1}", f"objective={header['objective']}"]
    lines += ["feature_names=" + " ".join(f"f{index}" for index in range(n_outputs))]
    lines += ["feature_infos=" + " ".join(["none"] * n_outputs)]
    trees = []
    for index in range(n_outputs):
        split = "split_feature=0\nthreshold=0\ndecision_type=2\nleft_child=-1\nright_child=-2\nleaf_value=0 0\n"
        linear = f"is_linear=1\nleaf_const=0 0\nnum_features=1 1\nleaf_features={index}  {index}  \nleaf_coeff=1  1  \n"
        trees.append(f"Tree={index}\nnum_leaves=2\nnum_cat=0\n{split}{linear}shrinkage=1\n\n\n")
    lines.append("tree_sizes=" + " ".join(str(len(tree)) for tree in trees))
    return "\n".join(lines) + "\n\n" + "".join(trees) + "end of trees\n"
