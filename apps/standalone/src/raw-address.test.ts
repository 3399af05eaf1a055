import { expect, it } from "vitest";
import { claimRawAddress } from "./raw-address.ts";

it("gives an address to one platform at a time", () => {
  const address = `127.9.${process.pid & 255}.${(process.pid >> 8) & 255}`;
  const claim = claimRawAddress(address);
  expect(() => claimRawAddress(address)).toThrow("SALLYPORT_TUNNEL_RAW_ADDRESS");
  claim[Symbol.dispose]();
  claimRawAddress(address)[Symbol.dispose]();
});
