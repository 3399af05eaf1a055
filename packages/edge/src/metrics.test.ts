// Counters and histograms as Prometheus reads them.
import { describe, expect, it } from "vitest";
import { Counter, gaugeText, Histogram } from "./metrics.ts";

describe("what an edge counts", () => {
  it("has a line for each of its labels", () => {
    const counter = new Counter("a_total", "Of a.");
    expect(counter.text()).toBe("# HELP a_total Of a.\n# TYPE a_total counter");
    counter.add('{kind="x"}');
    counter.add('{kind="x"}', 2);
    counter.add('{kind="y"}', 5);
    expect(counter.text().split("\n").slice(2)).toEqual(['a_total{kind="x"} 3', 'a_total{kind="y"} 5']);
  });

  it("has every observation at its bound and at all above", () => {
    const histogram = new Histogram("a_seconds", "Of a.");
    for (const seconds of [0.001, 0.002, 60, 61]) histogram.observe(seconds);
    const text = histogram.text();
    expect(text).toContain('a_seconds_bucket{le="0.001"} 1\n');
    expect(text).toContain('a_seconds_bucket{le="0.0025"} 2\n');
    expect(text).toContain('a_seconds_bucket{le="30"} 2\n');
    expect(text).toContain('a_seconds_bucket{le="60"} 3\n');
    expect(text).toContain('a_seconds_bucket{le="+Inf"} 4\n');
    expect(text).toMatch(/a_seconds_sum 121\.003\na_seconds_count 4$/);
  });

  it("shows a gauge as it stands", () => {
    let value = 1;
    const gauge = { name: "a", help: "Of a.", read: () => value };
    expect(gaugeText(gauge)).toBe("# HELP a Of a.\n# TYPE a gauge\na 1");
    value = 2;
    expect(gaugeText(gauge)).toContain("\na 2");
  });
});
