"""Whether a camera still sees its scene: covered, blurred, moved, frozen or flooded by light, or online."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

from surveil.messages import CameraState, Image
from surveil.trigger.stillness import WINDOW_SECONDS, Stillness
from surveil.trigger.view import BLURRED, Likeness, Reference, View

EVERY_SECONDS = 0.5
"""Pictures nearer to the last one that was looked at are passed over: nothing here changes faster."""
ENTER_SECONDS = 3.0
LEAVE_SECONDS = 3.0
SETTLED_SECONDS = 60.0
"""A new view that was steady for so long becomes the reference."""
GAP_SECONDS = 5.0
"""After a longer gap what was suspected before it counts no more; what was learnt does."""
_LEARN_SECONDS = 2.0
_READY = 3
"""Pictures that make a reference: nothing that needs one is told in the first seconds."""
_STEADY_SECONDS = 1.0

_LOST = 0.12
"""Agreement with the reference below this is none: noise and other scenes have at most 0.07, a scene at a thirtieth
of its light 0.15 and more, one that is hidden to nine tenths by something plain 0.2."""
_STRANGE = 0.2
"""Agreement below this may be by chance, where both views have the upright and level edges of a room."""
_DOUBT = 0.25
_DOUBT_SECONDS = 10.0
"""A picture that agrees less is not learnt from before it had the time to be told."""
_AT_ONCE_SECONDS = 5.0
"""A hand, a bag or paint takes less; dusk takes minutes."""
_HIDDEN = 0.25
"""A cover leaves less than this of the outlines that there were; another view brings its own."""
_DRAWN = 0.02
"""Share of the picture with outlines, from which on it shows something: wet asphalt has 0.03."""
_BARE = 0.001
"""Share of the picture with outlines, below which there is nothing in it: a lamp at night has more."""
_KEPT = 0.15
"""Of the blocks with outlines, as `Reference.kept` has it: what hides four fifths of the view leaves 0.19."""
_STEADY = 0.3
"""Agreement with the picture a second ago: noise has none, a lane full of moving cars 0.17 to 0.4."""
_SHIFT = 0.03
"""Of the width. Less is wind."""
_FOUND = 0.25
"""Agreement that the shifted reference must reach: a shifted scene has 0.5 and more, unlike scenes 0.07 by chance."""
_FOUND_BETTER = 1.5
"""Times as well as in place: long edges agree with themselves a little further on."""
_WHITE = 0.5
_PALE = 220.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What has become of a camera's picture, from monotonic `since` on; `detail` is one sentence for people."""

    state: CameraState
    since: float
    detail: str = ""


class SceneWatch:
    """Judges one camera's pictures. Owned by its camera's policy; knows no time but that of the pictures.

    `seconds` is for how long something must hold until it is told, ENTER_SECONDS by default; a frozen picture
    takes WINDOW_SECONDS at least. The reference follows the scene slowly, and only while all is well.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self.scene = Scene("online", 0.0)
        self._enter = ENTER_SECONDS if seconds is None else seconds
        self._still_for = max(WINDOW_SECONDS, seconds or 0.0)
        self._pending: Scene | None = None
        self._looked_at: float | None = None
        self._shape: tuple[int, ...] = ()
        self._reference = Reference()
        self._next = Reference()
        self._next_since = 0.0
        self._learnt_at = 0.0
        self._doubted_since: float | None = None
        self._recent: deque[tuple[float, View]] = deque()
        self._outlines: deque[tuple[float, float]] = deque()
        self._stillness = Stillness()

    def observe(self, image: Image, at: float) -> Scene:
        """Take in a picture captured at monotonic `at`; return what is to be told now."""
        if self._looked_at is None:
            self.scene = Scene("online", at)
        elif 0 <= at - self._looked_at < EVERY_SECONDS:
            return self.scene
        elif not 0 <= at - self._looked_at <= GAP_SECONDS:
            self._interrupt(at)
        self._looked_at = at
        if image.shape != self._shape:
            self._forget(at)
            self._shape = image.shape
        view = View(image)
        self._stillness.observe(view.grey, at)
        state, detail = self._judge(view, at)
        self._settle(state, detail, at)
        self._learn(view, state, at)
        return self.scene

    def _interrupt(self, at: float) -> None:
        """Time has leapt: no duration across it means anything."""
        self._pending = None
        self._recent.clear()
        self._outlines.clear()
        self._stillness.forget()
        self._doubted_since = None
        self._learnt_at = self._next_since = at
        self.scene = replace(self.scene, since=min(self.scene.since, at))

    def _forget(self, at: float) -> None:
        """Pictures of another size cannot be compared."""
        self._reference, self._next = Reference(), Reference()
        self._interrupt(at)

    def _judge(self, view: View, at: float) -> tuple[CameraState, str]:
        while len(self._recent) > 1 and at - self._recent[1][0] >= _STEADY_SECONDS:
            self._recent.popleft()
        before = self._recent[0] if self._recent else None
        self._recent.append((at, view))
        steady = before is not None and at - before[0] >= _STEADY_SECONDS and view.agreement(before[1]) >= _STEADY
        known = self._reference.pictures >= _READY
        judged = self._compared(view, steady, at) if known else _alone(view)
        return judged or self._frozen(at) or ("online", "")

    def _compared(self, view: View, steady: bool, at: float) -> tuple[CameraState, str] | None:
        usual = self._reference
        whiter = view.bright >= _WHITE and usual.bright < _WHITE / 2
        if whiter or (view.mean >= _PALE and usual.mean < _PALE - 50):
            return _flooded(view)
        likeness = usual.likeness(view)
        few = min(max(_HIDDEN * usual.outlined, _BARE), _DRAWN)
        at_once = self._at_once(view.outlined, few, at)
        if at_once and likeness.here < _LOST and view.outlined < few:
            return _flooded(view) if view.mean >= _PALE else _covered(view, f", usually {usual.outlined:.1%}")
        if likeness.shift >= _SHIFT and likeness.best >= max(_FOUND, _FOUND_BETTER * likeness.here):
            return "moved", (
                f"the view has moved by {likeness.shift:.0%} of its width: "
                f"there it agrees to {likeness.best:.0%}, in place to {likeness.here:.0%}"
            )
        if likeness.here >= _DOUBT:
            self._doubted_since = None
        elif self._doubted_since is None:
            self._doubted_since = at
        elsewhere = (
            self._elsewhere(view, likeness, steady) if likeness.here < _STRANGE and view.outlined >= few else None
        )
        return elsewhere or (self._blurred(view) if likeness.here >= _LOST else None)

    def _at_once(self, outlined: float, few: float, at: float) -> bool:
        """Return whether there was more than a few outlines moments ago: what goes slowly goes with the light."""
        while self._outlines and at - self._outlines[0][0] > _AT_ONCE_SECONDS:
            self._outlines.popleft()
        self._outlines.append((at, outlined))
        suspected = self.scene.state != "online" or self._pending is not None
        unknown = len(self._outlines) == 1
        return suspected or unknown or max(share for _, share in self._outlines) >= few

    def _elsewhere(self, view: View, likeness: Likeness, steady: bool) -> tuple[CameraState, str] | None:
        """Judge a picture that has little of the usual view; while it moves, what was told before holds."""
        kept = self._reference.kept(view, likeness.sway)
        if self.scene.state == "moved" and not (kept or 0) >= _KEPT:
            return "moved", self.scene.detail
        if not steady or kept is None or kept >= _KEPT:
            return None
        return "moved", f"another view: {kept:.0%} of the usual one is in its place"

    def _blurred(self, view: View) -> tuple[CameraState, str] | None:
        sharp = self._reference.sharpness(view)
        if sharp is None or sharp >= BLURRED:
            return None
        return "blurred", f"{max(sharp, 0.0):.0%} of the usual detail is left"

    def _frozen(self, at: float) -> tuple[CameraState, str] | None:
        # What was told ends when something changes, not when the coder has a bad while.
        patience = 2 * WINDOW_SECONDS if self.scene.state == "frozen" else WINDOW_SECONDS / 2
        seconds = self._stillness.seconds(at, patience)
        return (
            ("frozen", f"the same picture comes again and again for {seconds:.0f} s")
            if seconds >= self._still_for
            else None
        )

    def _settle(self, state: CameraState, detail: str, at: float) -> None:
        """Let a judgement become the state once it has held; a trouble may change its name meanwhile."""
        if state == self.scene.state:
            self._pending = None
            return
        if state == "frozen" and self.scene.state == "online":  # that it has held is what it means
            self.scene, self._pending = Scene(state, self._stillness.since or at, detail), None
            return
        pending = self._pending
        if pending is None or (pending.state == "online") != (state == "online"):
            pending = Scene(state, at)
        self._pending = replace(pending, state=state, detail=detail)
        if at - pending.since >= (LEAVE_SECONDS if state == "online" else self._enter):
            self.scene, self._pending = self._pending, None

    def _learn(self, view: View, state: CameraState, at: float) -> None:
        if at - self._learnt_at < _LEARN_SECONDS and self._reference.pictures:
            return
        if state == self.scene.state == "online":
            self._learnt_at = at
            if self._doubted_since is None or at - self._doubted_since >= _DOUBT_SECONDS:
                self._reference.learn(view)
        elif state == self.scene.state == "moved":
            self._learnt_at = at
            self._learn_anew(view, at)
        else:
            self._next = Reference()

    def _learn_anew(self, view: View, at: float) -> None:
        """Take a new view for the reference once it has been steady."""
        steady = self._next.pictures == 0 or self._next.likeness(view).here >= _STEADY
        if not self._next.pictures or not steady:
            self._next, self._next_since = Reference(), at
        self._next.learn(view)
        if at - self._next_since >= SETTLED_SECONDS:
            self._reference, self._next = self._next, Reference()
            self.scene = Scene("online", at, "the view that it was moved to is the usual one now")


def _alone(view: View) -> tuple[CameraState, str] | None:
    """Judge a picture by itself."""
    if view.outlined >= _BARE:
        return None if view.bright < 0.8 else _flooded(view)
    return _flooded(view) if view.mean >= _PALE else _covered(view, "")


def _flooded(view: View) -> tuple[CameraState, str]:
    return "flooded", f"{view.bright:.0%} of the picture is white, its brightness {view.mean:.0f} of 255"


def _covered(view: View, usually: str) -> tuple[CameraState, str]:
    return "covered", f"outlines in {view.outlined:.1%} of the picture{usually}; its brightness {view.mean:.0f} of 255"
