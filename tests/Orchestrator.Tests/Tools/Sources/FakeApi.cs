using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace MultiAgent.Orchestrator.Tests.Tools.Sources;

/// <summary>What a request brought.</summary>
internal sealed record SeenCall(string Method, string Path, string Query, IReadOnlyDictionary<string, string> Headers, string Body);

/// <summary>A shop with an HTTP API, and the host that gives its access tokens.</summary>
internal sealed class FakeApi : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeApi(WebApplication app) => _app = app;

    public string Url => _app.Urls.First();

    public ConcurrentQueue<SeenCall> Calls { get; } = new();

    /// <summary>Answers of the next calls, before the usual ones: status and body.</summary>
    public ConcurrentQueue<(int Status, string Body)> Script { get; } = new();

    public string Document { get; set; } = "";

    public static async Task<FakeApi> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        WebApplication app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        var api = new FakeApi(app);
        app.MapGet("/openapi.json", () => Results.Text(api.Document, "application/json"));
        app.MapPost("/token", async (HttpRequest request) =>
        {
            api.Calls.Enqueue(await SeenAsync(request));
            return Results.Json(new { access_token = $"token-{api.Calls.Count(c => c.Path == "/token")}", token_type = "Bearer", expires_in = 3600 });
        });
        app.MapFallback(async (HttpContext http) =>
        {
            api.Calls.Enqueue(await SeenAsync(http.Request));
            if (api.Script.TryDequeue(out (int Status, string Body) next)) return Results.Text(next.Body, "application/json", statusCode: next.Status);
            return http.Request.Path.Value!.EndsWith("/export", StringComparison.Ordinal) ? Results.Text(new string('ü', 50_000), "text/plain")
                : Results.Json(new { id = http.Request.Path.Value.Split('/')[^1], state = "shipped", parent = (object?)null });
        });
        await app.StartAsync();
        return api;
    }

    public IEnumerable<SeenCall> To(string path) => Calls.Where(c => c.Path == path);

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static async Task<SeenCall> SeenAsync(HttpRequest request)
    {
        using var reader = new StreamReader(request.Body);
        return new SeenCall(request.Method, request.Path, request.QueryString.Value ?? "", request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase), await reader.ReadToEndAsync());
    }

    public const string Yaml = """
        openapi: 3.0.3
        info: {title: Shop, version: "1"}
        paths:
          /orders/{id}:
            parameters:
              - {name: id, in: path, required: true, schema: {type: string}}
            get:
              operationId: getOrder
              summary: Reads an order
              parameters:
                - {name: fields, in: query, schema: {type: array, items: {type: string}}}
                - {name: X-Trace, in: header, schema: {type: string}}
              responses:
                '200':
                  description: ok
                  content:
                    application/json:
                      schema: {$ref: '#/components/schemas/Order'}
            put:
              operationId: replaceOrder
              requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/NewOrder'}}}}
              responses: {'200': {description: ok}}
            delete:
              operationId: deleteOrder
              responses: {'204': {description: gone}}
          /orders:
            post:
              operationId: create.order
              requestBody: {required: true, content: {application/json: {schema: {$ref: '#/components/schemas/NewOrder'}}}}
              responses: {'201': {description: made}}
          /export:
            get:
              operationId: export
              responses: {'200': {description: ok}}
          /upload:
            post:
              operationId: upload
              requestBody: {content: {multipart/form-data: {schema: {type: object}}}}
              responses: {'200': {description: ok}}
        components:
          schemas:
            Order:
              type: object
              required: [id, state]
              properties:
                id: {type: string}
                state: {type: string, enum: [open, shipped]}
                parent: {nullable: true, allOf: [{$ref: '#/components/schemas/Order'}]}
            NewOrder:
              type: object
              required: [item]
              properties:
                item: {type: string}
                count: {type: integer, minimum: 1}
        """;

    public object Source(string slug, object? auth = null, object? limits = null, string? idempotencyHeader = null, decimal? costUsd = null) => new
    {
        slug, kind = "openapi", openApi = new { document = Yaml, serverUrl = Url, idempotencyHeader }, auth, limits, costUsd,
    };
}
