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


def ask(browser: Browser, body: str, **given: Any) -> Any:
    return browser.ask(BEGIN + body, **given)


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


def test_a_mask_that_is_looked_for_is_waited_for(browser):
    """Whoever asks meanwhile draws the picture with its mask."""
    found = ask(
        browser,
        """
        one.maskFile = new File([], 'mask.png');
        const had = [];
        const both = [1, 2].map(() => work.suggestMask(one).then(() => had.push(one.mask !== null)));
        await new Promise((go) => setTimeout(go, 50));
        const early = [asked.length, ...had];
        await answer(); await Promise.all(both);
        return [early, had];
        """,
    )
    assert found == [[1], [True, True]]


MASKS = """
const { masks } = await import('/page/steps/masks.js');
let tasks = 0, most = 0, drawn = 0, hold = null; // cards that are drawn, and the most of them in one task
const draw = CanvasRenderingContext2D.prototype.drawImage;
CanvasRenderingContext2D.prototype.drawImage = function (source, ...place) {
  draw.call(this, source, ...place);
  if (source !== picture) return;
  drawn += 1; tasks += 1; most = Math.max(most, tasks);
  scheduler.postTask(() => { tasks = 0; }, { priority: 'user-blocking' });
};
const picture = await createImageBitmap(new ImageData(64, 64));
const half = () => { const mask = new Mask(64, 64); mask.data.fill(255, 0, 2048); return mask; };
const frames = Array.from({ length: 30 }, (_, index) => ({
  name: `${index}.png`, file: new File([], `${index}.png`), mask: null, confirmed: false, version: 0,
}));
const leave = new AbortController();
const said = [];
const app = {
  leaving: leave.signal, openModels: null, turns: (_, next) => next,
  attempt: (does) => (...given) => does(...given).catch((error) => said.push(error.message)),
  work: {
    frames, changedFrame: () => {}, look: async () => ({ bitmap: picture }),
    suggestMask: async (frame) => {
      if (frame === frames[hold?.at]) await hold.end;
      frame.mask ??= half();
    },
  },
};
const seconds = (count) => new Promise((go) => setTimeout(go, 1000 * count));
const shown = async () => document.body.replaceChildren(...await masks.show(app));
const until = async (so) => { for (let left = 1000; !so() && left > 0; left--) await seconds(0.01); };
const cards = () => document.querySelectorAll('.card canvas').length;
const status = () => document.querySelector('[role=status]').textContent;
const all = () => [...document.querySelectorAll('button')].find((one) => /^I looked/.test(one.textContent));
try {
"""
ENDED = (
    "\n} finally { CanvasRenderingContext2D.prototype.drawImage = draw; document.body.replaceChildren(); }"
)


def test_thirty_masks_are_drawn_card_by_card(browser):
    """So that the page answers meanwhile; and no mask can be confirmed before it was drawn."""
    found = ask(
        browser,
        MASKS
        + """
        const seen = [];
        hold = { at: 20 };
        hold.end = new Promise((go) => { hold.go = go; });
        await shown();
        await until(() => drawn === 20);
        seen.push(cards(), all().hidden);
        hold.go();
        await until(() => status().includes('30 to be looked at'));
        seen.push(cards(), drawn, most, all().hidden);
        all().click();
        seen.push(status(), drawn, frames.every((frame) => frame.confirmed));
        drawn = 0;
        await shown(); // seen again
        await until(() => drawn === 30);
        return [...seen, most, said];
        """
        + ENDED,
    )
    assert found == [20, True, 30, 30, 1, False, "Every mask is confirmed.", 30, True, 1, []]


@pytest.mark.parametrize("newer", [True, False])
def test_a_stale_pass_over_the_masks_draws_nothing(browser, newer):
    """Where files are added meanwhile, a newer pass draws them all; a step that was left draws none."""
    found = ask(
        browser,
        MASKS
        + """
        hold = { at: 10 };
        hold.end = new Promise((go) => { hold.go = go; });
        await shown();
        await until(() => drawn === 10);
        const add = () => {
          const chosen = new DataTransfer();
          chosen.items.add(new File([], '3_mask.png'));
          const input = document.querySelector('input[type=file]');
          input.files = chosen.files;
          input.dispatchEvent(new Event('change'));
        };
        if (newer) add(); else leave.abort();
        await seconds(0.3);
        const waits = drawn;
        hold.go();
        await seconds(1);
        return [waits, drawn, cards(), said];
        """
        + ENDED,
        newer=newer,
    )
    assert found == ([20, 40, 30, []] if newer else [10, 10, 10, []])


def test_a_mask_that_cannot_be_read_does_not_keep_the_others_from_being_drawn(browser):
    found = ask(
        browser,
        MASKS
        + """
        const { suggestMask } = app.work;
        app.work.suggestMask = async (frame) => {
          if (frame === frames[3]) throw new Error('That is no mask.');
          await suggestMask(frame);
        };
        await shown();
        await until(() => said.length);
        return [cards(), status().includes('29 to be looked at'), said];
        """
        + ENDED,
    )
    assert found == [30, True, ["That is no mask."]]


def file_of(browser: Browser, chosen: list[str], path: str) -> str | None:
    """Which of the chosen files is taken; one with folders was chosen with its folder."""
    return browser.ask(
        """
        const { fileOf } = await import('/page/work.js');
        const files = chosen.map((place) => {
          const file = new File([], place.split('/').at(-1));
          if (place.includes('/')) Object.defineProperty(file, 'webkitRelativePath', { value: place });
          return file;
        });
        const file = fileOf(files, path);
        return file && (file.webkitRelativePath || file.name);
        """,
        chosen=chosen,
        path=path,
    )


@pytest.mark.parametrize(
    ("chosen", "path", "taken"),
    [
        (["head/front/0.png", "head/back/0.png"], "front/0.png", "head/front/0.png"),
        (["head/front/0.png"], "back/0.png", None),  # sensitive it may be, and the view neutral
        (["head/front/0.png"], "./front/0", "head/front/0.png"),
        (["0.png"], "back/0.png", "0.png"),
        (["back/0.png"], "head/back/0.png", "back/0.png"),
        (["mine/images/0.png"], "/home/others/images/0.png", "mine/images/0.png"),
        (["mine/front/0.png"], "C:/others/back/0.png", None),
        (["head/a/0.png", "head/b/0.png"], "0.png", None),
        (["head/0.jpg", "head/0.png"], "0", None),
        (["head/10.png"], "0.png", None),
    ],
)
def test_a_path_takes_the_file_that_agrees_with_it_and_no_other(browser, chosen, path, taken):
    assert file_of(browser, chosen, path) == taken


def test_one_picture_is_never_that_of_two_views(browser):
    found = ask(
        browser,
        """
        two.file = one.file;
        one.reduced = two.reduced = { id: 1, role: 'neutral' };
        return await work.bundle().catch((error) => error.message);
        """,
    )
    assert found == "b.png is the picture of two views; leave one of them out."
