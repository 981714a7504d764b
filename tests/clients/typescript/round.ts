// A round on the service with the generated types; checked by `tsc --strict`, and run: `node built/round.js ADDRESS`.

import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

type Problem = components["schemas"]["Problem"];
type ModelCreate = components["schemas"]["ModelCreate"];
type ModelPatch = components["schemas"]["ModelPatch"];

declare const process: { argv: string[] };

// Answers in other forms, such as exports, are texts.
type Json = "application/json" | "application/problem+json";

const SHA256 = "0".repeat(64);

function same(found: unknown, meant: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(meant)) {
    throw new Error(`${JSON.stringify(found)} is not ${JSON.stringify(meant)}`);
  }
}

function there<T>(value: T | undefined | null, response: Response): T {
  if (value === undefined || value === null) throw new Error(`answered ${response.status}`);
  return value;
}

function refused(problem: Problem | undefined, response: Response, status: number, code: string): Problem {
  const found = there(problem, response);
  same([response.status, found.status, found.code], [status, status, code]);
  return found;
}

async function main(baseUrl: string): Promise<void> {
  const client = createClient<paths, Json>({ baseUrl });

  const body: ModelCreate = { name: "ResNet 50", task: "image classification", tags: [{ key: "vision" }] };
  const created = await client.POST("/api/v1/models", { body });
  same(there(created.data, created.response).tags, [{ key: "vision", value: "" }]);
  same(created.response.headers.get("Location"), "/api/v1/models/ResNet%2050");
  for (const name of ["b", "a"]) await client.POST("/api/v1/models", { body: { name, tags: [{ key: "few" }] } });

  const path = { model: "ResNet 50" };
  const fetched = await client.GET("/api/v1/models/{model}", { params: { path } });
  const etag = there(fetched.response.headers.get("ETag"), fetched.response);
  same(there(fetched.data, fetched.response).task, "image classification");

  const query = { "tags.key": "few", sort: "name", page_size: 1 };
  const first = await client.GET("/api/v1/models", { params: { query } });
  const page = there(first.data, first.response);
  const token = there(page.next_page_token, first.response);
  const next = await client.GET("/api/v1/models", { params: { query: { ...query, page_token: token } } });
  const names = [...page.items, ...there(next.data, next.response).items].map((model) => model.name);
  same(names, ["a", "b"]);

  const patch: ModelPatch = { owner: "vision team" };
  const mergePatch = { headers: { "Content-Type": "application/merge-patch+json" } };
  const header = { "If-Match": etag };
  const patched = await client.PATCH("/api/v1/models/{model}", { params: { path, header }, body: patch, ...mergePatch });
  same(there(patched.data, patched.response).owner, "vision team");
  const lost = await client.PATCH("/api/v1/models/{model}", { params: { path, header }, body: patch, ...mergePatch });
  refused(lost.error, lost.response, 412, "PRECONDITION_FAILED");
  const jsonPatched = await client.PATCH("/api/v1/models/{model}", {
    params: { path },
    body: [{ op: "replace", path: "/owner", value: null }],
    headers: { "Content-Type": "application/json-patch+json" },
  });
  same(there(jsonPatched.data, jsonPatched.response).owner, null);

  const version = await client.POST("/api/v1/models/{model}/versions", {
    params: { path },
    body: { source: "s3://models/resnet50", artifacts: [{ path: "model.onnx", size: 3, sha256: SHA256 }], status: "pending" },
  });
  same(there(version.data, version.response).number, 1);
  const replaced = await client.PUT("/api/v1/models/{model}/versions/{version}", {
    params: { path: { ...path, version: 1 }, header: { "If-Match": there(version.response.headers.get("ETag"), version.response) } },
    body: { source: "s3://models/other", status: "ready" },
  });
  same(there(replaced.data, replaced.response).status, "ready");

  const missing = await client.GET("/api/v1/models/{model}", { params: { path: { model: "nobody" } } });
  refused(missing.error, missing.response, 404, "NOT_FOUND");
  const invalid = await client.POST("/api/v1/models", { body: { name: "a/b" } });
  const problem = refused(invalid.error, invalid.response, 422, "INVALID");
  same(problem.errors.map((issue) => issue.pointer), ["/name"]);

  const deleted = await client.DELETE("/api/v1/models/{model}", { params: { path, query: { cascade: true } } });
  same(deleted.response.status, 204);
  console.log("done");
}

await main(process.argv[2] ?? "");
