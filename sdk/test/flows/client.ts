import { Eddy } from "../../src/index.js";
export const eddy = new Eddy({ id: "shop" });
