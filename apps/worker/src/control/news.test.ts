import { describe, expect, it } from "vitest";
import { News } from "./news.ts";

describe("news", () => {
  it("is told once, and again where it did not arrive", async () => {
    const news = new News<string>();
    const sent: (string | undefined)[] = [];
    const send = async (value: string | undefined): Promise<void> => void sent.push(value);
    await news.with(send);
    news.put("old");
    news.put("new");
    await expect(news.with(() => Promise.reject(new Error("away")))).rejects.toThrow("away");
    await news.with(send);
    await news.with(send);
    expect(sent).toEqual([undefined, "new", undefined]);
  });

  it("that comes while older news is on its way is told next", async () => {
    const news = new News<string>();
    news.put("first");
    const sent: (string | undefined)[] = [];
    await news.with(async (value) => {
      sent.push(value);
      news.put("second");
    });
    await news.with(async (value) => void sent.push(value));
    expect(sent).toEqual(["first", "second"]);
  });
});
