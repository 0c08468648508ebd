"""Blackjack as a finite world: both cards of the player and one of the dealer's are seen.

Cards are drawn from a deck that does not get smaller; an ace counts 1, or 11 where that does not
bust. The player stays or hits; more than 21 loses. The dealer then hits below 17. Winning gives 1,
a draw 0, losing -1. (Sutton and Barto, 2018, example 5.1, without natural blackjacks.)

All of it is in `P`: what the dealer comes to is a probability of each outcome of staying.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from envs.drawing.canvas import INK, PALE, PAPER, Canvas
from envs.tabular.model import Outcome
from envs.tabular.world import FiniteWorld, Picture

CARDS = {card: (4 if card == 10 else 1) / 13 for card in range(1, 11)}  # 1: an ace
DEALER_STAYS, MOST = 17, 21
STAY, HIT = 0, 1

Hand = tuple[int, bool]  # its total, and whether an ace in it counts 11


def add(hand: Hand, card: int) -> Hand:
    """A hand with another card."""
    total, soft = hand[0] + card, hand[1]
    if card == 1 and not soft and total + 10 <= MOST:
        total, soft = total + 10, True
    if total > MOST and soft:
        total, soft = total - 10, False
    return total, soft


@functools.cache
def dealer_ends(hand: Hand) -> dict[int, float]:
    """The probability of each total that a dealer with this hand comes to; 22: a bust."""
    if hand[0] >= DEALER_STAYS:
        return {min(hand[0], MOST + 1): 1.0}
    found: dict[int, float] = {}
    for card, probability in CARDS.items():
        for total, p in dealer_ends(add(hand, card)).items():
            found[total] = found.get(total, 0.0) + probability * p
    return found


class Blackjack(FiniteWorld):
    """States: the player's total, 4 to 21, hard or soft, against the dealer's card; the last: over.

    Actions: 0 stays, 1 hits. `number(18, 9)` is the state of a hard 18 against a 9.

    Args:
        render_mode: None, "ansi", "rgb_array" or "human".
        width: of a picture, in pixels.
        height: of a picture, in pixels.

    Attributes:
        hands: of each state but the last, the player's total, whether an ace in it counts 11, and
            the dealer's card, 1 for an ace.
    """

    def __init__(self, render_mode: str | None = None, width: int = 480, height: int = 300) -> None:
        totals = [(total, False) for total in range(4, 22)] + [(t, True) for t in range(12, 22)]
        self.hands = [(*hand, dealer) for hand in totals for dealer in CARDS]
        self._numbers = {hand: s for s, hand in enumerate(self.hands)}
        over = len(self.hands)
        starts = [0.0] * (over + 1)
        for first, p in CARDS.items():
            for second, q in CARDS.items():
                hand = add(add((0, False), first), second)
                for dealer, r in CARDS.items():
                    starts[self._numbers[*hand, dealer]] += p * q * r
        transitions = {
            s: {
                STAY: list(self._staying(total, dealer, over)),
                HIT: list(self._hitting((total, soft), dealer, over)),
            }
            for s, (total, soft, dealer) in enumerate(self.hands)
        }
        transitions[over] = {a: [(1.0, over, 0.0, True)] for a in (STAY, HIT)}
        names = [
            f"{'soft' if soft else 'hard'} {total} against {'an ace' if card == 1 else card}"
            for total, soft, card in self.hands
        ]
        moves = ["stay", "hit"]
        super().__init__(transitions, starts, [*names, "over"], moves, render_mode, width, height)

    def number(self, total: int, dealer: int, soft: bool = False) -> int:
        """The state of a total against a dealer's card, 1 for an ace; KeyError if there is none."""
        return self._numbers[total, soft, dealer]

    def _staying(self, total: int, dealer: int, over: int) -> Iterator[Outcome]:
        ends = dealer_ends(add((0, False), dealer))
        won = sum(p for end, p in ends.items() if end > MOST or end < total)
        drawn = ends.get(total, 0.0)
        for probability, reward in ((won, 1.0), (drawn, 0.0), (1.0 - won - drawn, -1.0)):
            if probability > 1e-12:
                yield probability, over, reward, True

    def _hitting(self, hand: Hand, dealer: int, over: int) -> Iterator[Outcome]:
        for card, probability in CARDS.items():
            total, soft = add(hand, card)
            bust = total > MOST
            reached = over if bust else self._numbers[total, soft, dealer]
            yield probability, reached, -1.0 if bust else 0.0, bust

    def picture(self, width: int, height: int) -> Picture:
        """The dealer's card above, the player's total below, and what was done last."""
        canvas = Canvas(width, height)
        canvas.box((0, 0), (1, 1), (38, 110, 74))
        if self.s < len(self.hands):
            total, soft, dealer = self.hands[self.s]
            rows = [("dealer", "A" if dealer == 1 else str(dealer)), ("you", str(total))]
            if soft:
                canvas.word((0.78, 0.72), "soft", 0.08, PAPER)
        else:
            rows = [("the game is over", "")]
        for at, (who, shown) in enumerate(rows):
            y = 0.28 + 0.44 * at
            canvas.word((0.2 if shown else 0.5, y), who, 0.09, PAPER)
            if shown:
                canvas.box((0.42, y - 0.17), (0.62, y + 0.17), PAPER, PALE)
                canvas.word((0.52, y), shown, 0.16, INK)
        if self.lastaction is not None:
            canvas.word((0.85, 0.5), self.actions[self.lastaction], 0.08, PAPER)
        return canvas.pixels()
