// Unpacks the Chromium of @sparticuz/chromium, its libraries and its font into TMPDIR, which is where the package puts
// what it unpacks. Run once, when the packages are installed.
import { fileURLToPath } from "node:url";
import { inflate } from "@sparticuz/chromium";

const packed = new URL("../bin/", import.meta.resolve("@sparticuz/chromium"));
for (const name of ["chromium.br", "al2023.tar.br", "fonts.tar.br"]) {
  await inflate(fileURLToPath(new URL(name, packed)));
}
