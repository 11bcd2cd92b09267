"""What the page is about to protect, in a real Chromium: what changes while a worker is at it is not kept."""

from collections.abc import Iterator
from typing import Any

import pytest

from browser import Browser, chromium

BEGIN = """
const { Work } = await import('/page/work.js');
const { Mask } = await import('/page/mask.js');
const asked = [], forgotten = []; // what a worker is at: each is answered when the test says so
const answered = (answer) => new Promise((go) => asked.push(() => go(answer)));
const answer = async () => { asked.shift()?.(); await new Promise((go) => setTimeout(go)); };
let last = 0;
const work = new Work({
  reduce: ({ role }) => answered({ id: ++last, role }),
  bundle: (ids) => answered({ ids }),
  look: () => answered({ bitmap: new OffscreenCanvas(4, 4) }),
  forget: (id) => forgotten.push(id),
});
work.capture = { sphere: null, unit: 'mm' };
work.frames = ['a.png', 'b.png'].map((name) => ({
  name, role: 'neutral', camera: { width: 4, height: 4 }, file: new File([], name), maskFile: null,
  mask: null, drawn: false, confirmed: true, reduced: null, version: 0,
}));
const [one, two] = work.frames;
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def ask(browser: Browser, body: str) -> Any:
    return browser.ask(BEGIN + body)


@pytest.mark.parametrize("changed", ["work.changedFrame(one)", "work.changed()"])
def test_a_picture_that_changes_while_it_is_reduced_is_reduced_again(browser, changed):
    found = ask(
        browser,
        f"""
        const [first, other] = [work.reduce(one), work.reduce(two)];
        one.role = 'sensitive';
        {changed};
        await answer(); await answer(); await first; await other;
        const stale = [one.reduced, two.reduced?.id ?? null, [...forgotten]];
        const again = work.reduce(one);
        await answer(); await again;
        return [...stale, one.reduced];
        """,
    )
    both = changed == "work.changed()"
    assert found == [None, None if both else 2, [1, 2] if both else [1], {"id": 3, "role": "sensitive"}]


def test_a_picture_that_is_reduced_twice_at_once_is_kept_once(browser):
    found = ask(
        browser,
        """
        const both = [work.reduce(one), work.reduce(one)];
        await answer(); await answer(); await Promise.all(both);
        await work.reduce(one); // it is there: nothing is asked
        return [one.reduced.id, forgotten, asked.length];
        """,
    )
    assert found == [1, [2], 0]


@pytest.mark.parametrize("changed", ["work.changedFrame(one)", "work.changed()"])
def test_a_bundle_that_was_begun_before_a_change_is_not_kept(browser, changed):
    found = ask(
        browser,
        f"""
        const reduce = [work.reduce(one), work.reduce(two)];
        await answer(); await answer(); await Promise.all(reduce);
        let making = work.bundle();
        {changed};
        await answer(); await making;
        const stale = work.made;
        const again = work.frames.map((frame) => work.reduce(frame));
        await answer(); await answer();
        await Promise.all(again);
        making = work.bundle();
        await answer(); await making;
        return [stale, work.made.ids];
        """,
    )
    assert found == [None, [3, 2] if changed == "work.changedFrame(one)" else [3, 4]]


def test_no_bundle_has_a_picture_in_another_role_than_its_own(browser):
    """A second guard, should something forget to say that a picture changed."""
    says = ask(
        browser,
        """
        const reduce = [work.reduce(one), work.reduce(two)];
        await answer(); await answer(); await Promise.all(reduce);
        const bundled = async () => {
          const says = refusal(() => work.bundle());
          await answer();
          return says;
        };
        two.role = 'sensitive'; // and nothing is said of it
        const said = [await bundled()];
        two.role = 'neutral';
        work.changedFrame(one);
        return [...said, await bundled(), work.made];
        """,
    )
    assert says == [
        "b.png is sensitive and was not protected as such; protect it again.",
        "a.png is neutral and was not protected as such; protect it again.",
        None,
    ]


def test_a_mask_that_is_drawn_meanwhile_stays(browser):
    """And where another file is given meanwhile, its mask is looked for anew."""
    found = ask(
        browser,
        """
        const drawn = new Mask(4, 4);
        one.maskFile = two.maskFile = new File([], 'mask.png');
        const both = [work.suggestMask(one), work.suggestMask(two)];
        Object.assign(one, { mask: drawn, drawn: true });
        work.changedFrame(one);
        Object.assign(two, { maskFile: new File([], 'other.png'), maskSeen: false });
        work.changedFrame(two);
        await answer(); await Promise.all(both);
        const stale = [one.mask === drawn, two.mask];
        const again = work.suggestMask(two);
        await answer(); await again;
        return [...stale, two.mask !== null];
        """,
    )
    assert found == [True, None, True]
