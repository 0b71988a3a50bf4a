using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Routing;
using MultiAgent.Hosting.Identity;

namespace MultiAgent.Platform.Integration.Tests.Identity;

/// <summary>Every endpoint that there is, with the key of one tenant and the ids of another.</summary>
public sealed class TenantIsolationTests : IAsyncLifetime
{
    /// <summary>Stands in everything that tenant A makes.</summary>
    private const string Needle = "needle-of-tenant-a";

    // All things that are named rather than numbered have the one name that a route is filled with.
    private const string Workflow = $$"""{"apiVersion":"maap/v1","kind":"Workflow","name":"needle-agent","description":"{{Needle}}","steps":[{"id":"ask","type":"human","title":"{{Needle}}"}]}""";
    private const string Source = """{"slug":"needle-agent","kind":"openapi","openApi":{"serverUrl":"https://shop.example.com","document":{"openapi":"3.1.0","info":{"title":"Shop","version":"1"},"paths":{"/orders":{"get":{"operationId":"orders","responses":{"200":{"description":"ok"}}}}}}}}""";

    // Bodies that would be accepted if the thing were the caller's.
    private static readonly Dictionary<string, string> Bodies = new()
    {
        ["POST /api/v1/chat"] = """{"agent":"needle-agent","message":"hi","stream":false}""",
        ["POST /api/v1/runs/{id}/cancel"] = "",
        ["PUT /api/v1/agents/{slug}"] = """{"slug":"needle-agent","name":"Stolen"}""",
        ["PUT /api/v1/agents/{slug}/labels/{label}"] = """{"version":1}""",
        ["PATCH /api/v1/conversations/{id}"] = """{"title":"Stolen"}""",
        ["POST /api/v1/messages/{id}/feedback"] = """{"rating":-1}""",
        ["POST /api/v1/journeys/{id}/steps"] = """{"name":"stolen"}""",
        ["POST /api/v1/journeys/{id}/complete"] = "{}",
        ["POST /api/v1/journeys/{id}/abandon"] = "{}",
        ["POST /api/v1/keys/{id}/rotate"] = "{}",
        ["POST /api/v1/conversations/{id}/messages"] = """{"content":"Stolen"}""",
        ["PATCH /api/v1/memories/{id}"] = """{"text":"Stolen"}""",
        ["POST /a2a/{slug}/"] = """{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":{"messageId":"m1","role":"ROLE_USER","parts":[{"text":"hi"}]}}}""",
        ["POST /api/v1/approvals/{id}"] = """{"decision":"approve"}""",
        ["PUT /api/v1/workflows/{slug}"] = Workflow,
        ["PUT /api/v1/workflows/{slug}/labels/{label}"] = """{"version":1}""",
        ["PUT /api/v1/tool-sources/{slug}"] = Source,
        ["PUT /api/v1/schedules/{id}"] = """{"cron":"0 10 * * *","workflow":"needle-agent"}""",
        ["PUT /api/v1/webhook-endpoints/{id}"] = """{"url":"https://hooks.example.com/stolen"}""",
        ["PATCH /api/v1/users/{id}"] = """{"name":"Stolen"}""",
        ["POST /v1/chat/completions"] = """{"model":"agent/needle-agent","messages":[{"role":"user","content":"hi"}]}""",
    };

    private readonly Dictionary<string, string> _ids = [];
    private TestPlatform _platform = null!;
    private TestTenant _other = null!;

    public async ValueTask InitializeAsync()
    {
        _platform = await TestPlatform.StartAsync();
        _other = _platform.AddTenant("other");
        HttpClient a = _platform.Client;
        await a.PostJsonAsync("/api/v1/agents", $$"""{"slug":"needle-agent","name":"{{Needle}}","instructions":"{{Needle}}","model":"fake/priced"}""", HttpStatusCode.Created);
        JsonElement chat = await a.PostJsonAsync("/api/v1/chat", $$"""{"agent":"needle-agent","message":"{{Needle}}","stream":false,"metadata":{"k":"{{Needle}}"} }""");
        string message = chat.GetProperty("message").GetProperty("id").GetString()!;
        await a.PostJsonAsync($"/api/v1/messages/{message}/feedback", $$"""{"rating":1,"comment":"{{Needle}}"}""");
        JsonElement journey = await a.PostJsonAsync("/api/v1/journeys", $$"""{"type":"{{Needle}}","metadata":{"k":"{{Needle}}"} }""", HttpStatusCode.Created);
        _ids["runs"] = chat.GetProperty("runId").GetString()!;
        _ids["conversations"] = chat.GetProperty("conversationId").GetString()!;
        _ids["messages"] = message;
        _ids["journeys"] = journey.GetProperty("id").GetString()!;
        _ids["memories"] = (await a.PostJsonAsync("/api/v1/memories", $$"""{"agent":"needle-agent","text":"{{Needle}}"}""", HttpStatusCode.Created)).GetProperty("id").GetString()!;
        _ids["keys"] = (await a.GetJsonAsync("/api/v1/keys")).GetProperty("data")[0].GetProperty("id").GetString()!;
        _ids["users"] = (await a.GetJsonAsync("/api/v1/users")).GetProperty("data")[0].GetProperty("id").GetString()!;
        _ids["tenants"] = _platform.Demo.Id;
        await a.PostJsonAsync("/api/v1/workflows", Workflow, HttpStatusCode.Created);
        await a.PostJsonAsync("/api/v1/tool-sources", Source, HttpStatusCode.Created);
        await a.PostJsonAsync("/api/v1/runs", """{"workflow":"needle-agent"}""", HttpStatusCode.Accepted);
        await Eventually.TrueAsync(async () => (await a.GetJsonAsync("/api/v1/approvals")).GetProperty("data").GetArrayLength() == 1, "the question is asked");
        _ids["approvals"] = (await a.GetJsonAsync("/api/v1/approvals")).GetProperty("data")[0].GetProperty("id").GetString()!;
        _ids["schedules"] = (await a.PostJsonAsync("/api/v1/schedules", $$"""{"name":"{{Needle}}","cron":"0 9 1 1 *","workflow":"needle-agent"}""", HttpStatusCode.Created)).GetProperty("id").GetString()!;
        _ids["webhook-endpoints"] = (await a.PostJsonAsync("/api/v1/webhook-endpoints", """{"url":"https://hooks.example.com/a","events":["run.completed"]}""", HttpStatusCode.Created)).GetProperty("id").GetString()!;
        _ids["responses"] = (await a.PostJsonAsync("/v1/responses", $$"""{"model":"agent/needle-agent","input":"{{Needle}}"}""")).GetProperty("id").GetString()!;
        await TestPlatform.UsageAsync(a, 1);
    }

    public ValueTask DisposeAsync() => _platform.DisposeAsync();

    [Fact]
    public async Task EveryEndpoint_WithAnotherTenantsIds_FindsNothing()
    {
        Dictionary<string, string> before = await SnapshotAsync();
        string[] secrets = [Needle, "needle-agent", .. _ids.Values, "owner@demo.local", TestPlatform.DemoKey];
        int checkedWithId = 0;
        var wrong = new List<string>();
        foreach ((string method, string route) in Endpoints())
        {
            string name = $"{method} {route}";
            bool names = route.Contains('{', StringComparison.Ordinal) || Bodies.ContainsKey(name);
            using var request = new HttpRequestMessage(new HttpMethod(method), Fill(route));
            if (method is "POST" or "PUT" or "PATCH") request.Content = HttpTestExtensions.Json(Bodies.GetValueOrDefault(name, "{}"));
            request.Headers.Accept.ParseAdd("application/json");
            using HttpResponseMessage response = await _other.Client.SendAsync(request);
            string body = await response.Content.ReadAsStringAsync();

            if (names && response.StatusCode is not (HttpStatusCode.NotFound or HttpStatusCode.Forbidden)) wrong.Add($"{name}: {(int)response.StatusCode} {body}");
            // An error may repeat what the caller itself has asked for.
            // The log of requests repeats what it asked for before.
            foreach (string secret in names || route == "/api/v1/requests/" ? [Needle] : secrets)
                if (body.Contains(secret, StringComparison.Ordinal)) wrong.Add($"{name} tells '{secret}': {body}");
            if (names) checkedWithId++;
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
        Assert.True(checkedWithId >= 25, $"Only {checkedWithId} endpoints take an id: they were not all found.");
        Assert.Equal(before, await SnapshotAsync());
    }

    [Fact]
    public async Task Filters_WithAnotherTenantsValues_FindNothing()
    {
        string[] queries =
        [
            "/api/v1/usage?agent=needle-agent", "/api/v1/usage?model=fake/priced", "/api/v1/usage/records?agent=needle-agent", $"/api/v1/usage/records?apiKey={_ids["keys"]}",
            $"/api/v1/journeys?type={Needle}", $"/api/v1/feedback?conversation={_ids["conversations"]}", $"/api/v1/feedback?message={_ids["messages"]}",
            $"/api/v1/runs?conversation={_ids["conversations"]}", "/api/v1/runs?agent=needle-agent", "/api/v1/conversations?agent=needle-agent", $"/api/v1/requests?apiKey={_ids["keys"]}",
        ];
        foreach (string query in queries)
        {
            JsonElement answer = await _other.Client.GetJsonAsync(query);
            // Sums without groups are one row, of nothing.
            if (answer.TryGetProperty("total", out JsonElement total)) Assert.Equal(0, total.GetProperty("requests").GetInt64());
            else Assert.Equal(0, answer.GetProperty("data").GetArrayLength());
        }

        Assert.Equal(0, (await _other.Client.GetJsonAsync("/api/v1/usage")).GetProperty("total").GetProperty("requests").GetInt64());
    }

    [Fact]
    public async Task Journey_OfAnotherTenant_IsNotContinuedByAHeader()
    {
        using HttpResponseMessage response = await _other.Client.PostAsync("/v1/chat/completions", """{"model":"fake/priced","messages":[{"role":"user","content":"hi"}]}""", ("X-Journey-Id", _ids["journeys"]));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await TestPlatform.UsageAsync(_other.Client, 1);
        JsonElement journey = await _platform.Client.GetJsonAsync($"/api/v1/journeys/{_ids["journeys"]}");
        Assert.Equal(0, journey.GetProperty("stepCount").GetInt32());
    }

    [Fact]
    public async Task IdempotencyKey_OfAnotherTenant_IsAnotherKey()
    {
        const string body = """{"slug":"twin","name":"Twin"}""";
        using HttpResponseMessage first = await _platform.Client.PostAsync("/api/v1/agents", body, ("Idempotency-Key", "shared"));
        using HttpResponseMessage second = await _other.Client.PostAsync("/api/v1/agents", body, ("Idempotency-Key", "shared"));

        Assert.Equal((HttpStatusCode.Created, HttpStatusCode.Created), (first.StatusCode, second.StatusCode));
        Assert.NotEqual((await first.ReadJsonAsync()).GetProperty("id").GetString(), (await second.ReadJsonAsync()).GetProperty("id").GetString());
    }

    [Fact]
    public async Task EveryEndpoint_WithoutAKey_Answers401()
    {
        HttpClient nobody = _platform.ClientFor(null);
        foreach ((string method, string route) in Endpoints())
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), Fill(route));
            if (method is "POST" or "PUT" or "PATCH") request.Content = HttpTestExtensions.Json("{}");
            using HttpResponseMessage response = await nobody.SendAsync(request);
            Assert.True(response.StatusCode == HttpStatusCode.Unauthorized, $"{method} {route}: {(int)response.StatusCode}");
        }
    }

    [Fact]
    public async Task EveryEndpoint_WithAKeyThatMayDoNothing_Answers403()
    {
        HttpClient powerless = _platform.ClientFor(TenantRows.AddKey(_platform.DataFolder, _platform.Demo.Id, scopes: ""));
        foreach ((string method, string route) in Endpoints(RequiresScope))
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), Fill(route));
            if (method is "POST" or "PUT" or "PATCH") request.Content = HttpTestExtensions.Json("{}");
            using HttpResponseMessage response = await powerless.SendAsync(request);
            Assert.True(response.StatusCode == HttpStatusCode.Forbidden, $"{method} {route}: {(int)response.StatusCode}");
        }
    }

    private static bool RequiresScope(RouteEndpoint endpoint) => endpoint.Metadata.GetMetadata<RequiredScope>() is { } scope && scope.Scope != Contracts.Identity.Scopes.None;

    private IEnumerable<(string Method, string Route)> Endpoints(Func<RouteEndpoint, bool>? which = null) => ((IEndpointRouteBuilder)_platform.App).DataSources
        .SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
        .Where(which ?? (e => e.Metadata.GetMetadata<RequiredScope>() is not null))
        .SelectMany(e => e.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods.Select(m => (m, "/" + e.RoutePattern.RawText!.TrimStart('/'))))
        // One's own password is not another tenant's business.
        .Where(e => e.Item2 != "/api/v1/me/password")
        .OrderBy(e => e.Item1 == "DELETE");

    private string Fill(string route)
    {
        string kind = route.Split('/', StringSplitOptions.RemoveEmptyEntries).ElementAtOrDefault(route.StartsWith("/v1/", StringComparison.Ordinal) ? 1 : 2) ?? "";
        return route.Replace("{**id}", "agent%2Fneedle-agent", StringComparison.Ordinal)
            .Replace("{slug}", "needle-agent", StringComparison.Ordinal).Replace("{number:int}", "1", StringComparison.Ordinal).Replace("{label}", "production", StringComparison.Ordinal)
            .Replace("{id}", _ids.GetValueOrDefault(kind, "missing"), StringComparison.Ordinal)
            .Replace("/resources/content", "/resources/content?uri=any", StringComparison.Ordinal);
    }

    private async Task<Dictionary<string, string>> SnapshotAsync()
    {
        var snapshot = new Dictionary<string, string>();
        string[] paths =
        [
            "/api/v1/agents/needle-agent", $"/api/v1/runs/{_ids["runs"]}", $"/api/v1/conversations/{_ids["conversations"]}", $"/api/v1/conversations/{_ids["conversations"]}/messages?tools=true",
            $"/api/v1/journeys/{_ids["journeys"]}", "/api/v1/feedback", $"/api/v1/users/{_ids["users"]}", "/api/v1/tenant",
            $"/api/v1/memories/{_ids["memories"]}", "/api/v1/workflows/needle-agent", "/api/v1/tool-sources/needle-agent", $"/api/v1/approvals/{_ids["approvals"]}", $"/api/v1/schedules/{_ids["schedules"]}",
            $"/api/v1/webhook-endpoints/{_ids["webhook-endpoints"]}", $"/v1/responses/{_ids["responses"]}",
        ];
        foreach (string path in paths) snapshot[path] = (await _platform.Client.GetJsonAsync(path)).ToString();
        JsonElement key = await _platform.Client.GetJsonAsync($"/api/v1/keys/{_ids["keys"]}");
        snapshot["key"] = $"{key.GetProperty("id")} {key.GetProperty("status")}";
        return snapshot;
    }
}
