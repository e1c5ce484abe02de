import { parseSmaps, resident, together } from "../../../bench/resident";
import { median } from "../../../bench/statistics";

const mapping = (head: string, rss: number, anonymous: number) =>
  [
    head,
    "Size:               9999 kB",
    `Rss:                ${rss} kB`,
    `Pss:                   1 kB`,
    `Anonymous:          ${anonymous} kB`,
    "VmFlags: rd ex mr mw me sd",
    "",
  ].join("\n");

/** A process of one program with a heap of its own. */
const smaps = (code: number, heap: number) =>
  mapping("00400000-04a00000 r-xp 00001000 fe:01 1234                   /usr/bin/node", code, 0) +
  mapping("04a00000-04b00000 rw-p 00002000 fe:01 1234                   /usr/bin/node", 50, 20) +
  mapping("7f0000000000-7f0000100000 rw-p 00000000 00:00 0 ", heap, heap);

describe("the memory of processes", () => {
  const processes = [parseSmaps(smaps(1000, 300)), parseSmaps(smaps(1400, 500))];

  it("is the sum of all mappings, when each counts by itself", () => {
    expect(resident(processes)).toBe(1000 + 50 + 300 + 1400 + 50 + 500);
  });

  it("counts parts of files that they share once, and what is their own each time", () => {
    expect(together(processes)).toBe(1400 + 30 + (20 + 300) + (20 + 500));
  });

  it("of one process is the same either way", () => {
    expect(together(processes.slice(0, 1))).toBe(resident(processes.slice(0, 1)));
  });
});

describe("the median", () => {
  it.each([
    [[3], 3],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
  ])("of %j is %d", (values, expected) => expect(median(values)).toBe(expected));

  it("needs values", () => expect(() => median([])).toThrow(RangeError));
});
