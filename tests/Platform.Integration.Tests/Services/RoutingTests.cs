using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace MultiAgent.Platform.Integration.Tests.Services;

/// <summary>The gateway before services in other processes: what clients see is the platform as one.</summary>
[Collection(ServicesApart.Name)]
public sealed partial class RoutingTests(ServicesFixture fixture)
{
    private static readonly string[] Services = ["tenant-service", "orchestrator", "analytics-service"];

    private readonly TestPlatform _platform = fixture.Platform;

    [Fact]
    public async Task EveryEndpoint_OfEachService_IsReachedThroughTheGateway()
    {
        HttpClient nobody = _platform.ClientFor(null);
        int count = 0;
        foreach (string service in Services)
        {
            foreach (RouteEndpoint endpoint in ((IEndpointRouteBuilder)_platform.HostOf(service)).DataSources.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>())
            {
                string path = "/" + endpoint.RoutePattern.RawText!.Trim('/');
                if (!path.StartsWith("/api/v1/", StringComparison.Ordinal)) continue;
                path = Parameter().Replace(path, "1");
                foreach (string method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods)
                {
                    using var request = new HttpRequestMessage(new HttpMethod(method), path);
                    if (method is "POST" or "PUT" or "PATCH") request.Content = HttpTestExtensions.Json("{}");
                    using HttpResponseMessage response = await nobody.SendAsync(request);
                    string body = await response.Content.ReadAsStringAsync();
                    // A path that the gateway does not know is an unknown_url; a service that anybody may ask says that it has no such thing.
                    bool answered = (int)response.StatusCode is 200 or 400 or 401 or 429 || (response.StatusCode == HttpStatusCode.NotFound && body.Contains("\"code\":\"not_found\"", StringComparison.Ordinal));
                    Assert.True(answered, $"{method} {path} of {service}: {(int)response.StatusCode} {body}");
                    count++;
                }
            }
        }
        Assert.True(count > 40, $"Only {count} endpoints were found.");
    }

    [Fact]
    public async Task OpenApi_OfTheGateway_IsThatOfTheWholePlatform()
    {
        await using TestPlatform whole = await TestPlatform.StartAsync();

        JsonElement apart = await _platform.ClientFor(null).GetJsonAsync("/openapi/v1.json"), one = await whole.ClientFor(null).GetJsonAsync("/openapi/v1.json");

        Assert.Equal(Operations(one), Operations(apart));
        string text = apart.ToString();
        MatchCollection references = Reference().Matches(text);
        Assert.True(references.Count > 50);
        foreach (Match reference in references) Assert.True(apart.GetProperty("components").GetProperty("schemas").TryGetProperty(reference.Groups[1].Value, out _), reference.Value);

        static string[] Operations(JsonElement document) =>
            [.. document.GetProperty("paths").EnumerateObject().SelectMany(p => p.Value.EnumerateObject().Select(o => $"{o.Name} {p.Name}")).Order()];
    }

    [Fact]
    public async Task RequestId_OfTheClient_GoesThroughAndComesBackOnce()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/runs/run_nothing");
        request.Headers.Add("X-Request-Id", "quoted-by-the-client");

        using HttpResponseMessage response = await _platform.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Equal(["quoted-by-the-client"], response.Headers.GetValues("X-Request-Id"));
        Assert.Single(response.Headers.GetValues("RateLimit-Limit"));
    }

    [Fact]
    public async Task Request_ThatTheGatewayPassesOn_IsLoggedOnceWithTheServicesError()
    {
        string id = $"logged-{Guid.NewGuid():N}";
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/v1/runs/run_nothing");
        request.Headers.Add("X-Request-Id", id);
        using HttpResponseMessage response = await _platform.Client.SendAsync(request);
        // What comes later is there: what was to come earlier is too.
        using var later = new HttpRequestMessage(HttpMethod.Get, "/api/v1/agents");
        later.Headers.Add("X-Request-Id", $"{id}-later");
        using HttpResponseMessage _ = await _platform.Client.SendAsync(later);
        await Eventually.TrueAsync(async () => (await LoggedAsync($"{id}-later")).Length == 1, "the later request is logged");

        JsonElement record = Assert.Single(await LoggedAsync(id));
        Assert.Equal((404, "not_found", "/api/v1/runs/{id}"), (record.GetProperty("status").GetInt32(), record.GetProperty("errorCode").GetString(), record.GetProperty("route").GetString()));
        Assert.False(response.Headers.Contains("Maap-Route"));

        async Task<JsonElement[]> LoggedAsync(string request) => [.. (await _platform.Client.GetJsonAsync($"/api/v1/requests?requestId={request}")).GetProperty("data").EnumerateArray()];
    }

    [Fact]
    public async Task Stream_OfAService_ComesThroughAsItIsMade()
    {
        string model = $"stream-{Guid.NewGuid():N}"[..20];
        await _platform.Client.PostJsonAsync("/api/v1/agents", $$"""{"slug":"{{model}}","name":"Stream","instructions":"Talk.","model":"fake/{{model}}"}""", HttpStatusCode.Created);
        var goOn = new TaskCompletionSource();
        _platform.Provider.For(model, async context =>
        {
            await FakeProvider.BeginStreamAsync(context);
            await FakeProvider.ChunkAsync(context, "m", new { role = "assistant", content = "first" });
            await goOn.Task.WaitAsync(Eventually.Deadline);
            await FakeProvider.ChunkAsync(context, "m", new { content = " second" }, "stop");
            await FakeProvider.DataAsync(context, "[DONE]");
        });

        using HttpResponseMessage response = await _platform.Client.PostStreamAsync("/api/v1/chat", $$"""{"agent":"{{model}}","message":"hi","stream":true}""");
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());
        string seen = "";
        while (!seen.Contains("first", StringComparison.Ordinal)) seen += await reader.ReadLineAsync().WaitAsync(Eventually.Deadline) ?? throw new InvalidOperationException(seen);
        goOn.SetResult();
        seen += await reader.ReadToEndAsync().WaitAsync(Eventually.Deadline);

        Assert.Contains("event: run.completed", seen, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Health_OfTheGateway_ShowsTheServices()
    {
        JsonElement health = await _platform.ClientFor(null).GetJsonAsync("/health");

        Assert.Equal(Services.Select(s => $"service:{s}").Order(), health.GetProperty("dependencies").EnumerateArray().Select(d => d.GetProperty("name").GetString()!).Where(n => n.StartsWith("service:", StringComparison.Ordinal)).Order());
        foreach (string service in Services)
            Assert.Equal(service, (await _platform.ClientFor(null).GetJsonAsync($"/api/v1/{service}/health")).GetProperty("service").GetString());
    }

    [Fact]
    public async Task Tenant_ThatIsNew_GetsItsExamplesByAnEvent()
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/v1/tenants") { Content = HttpTestExtensions.Json($$"""{"slug":"fresh-{{Guid.NewGuid():N}}","name":"Fresh","ownerEmail":"owner@fresh.example"}""".Replace("fresh-", "f", StringComparison.Ordinal)) };
        request.Headers.Add("X-Operator-Token", TestPlatform.OperatorToken);
        using HttpResponseMessage made = await _platform.ClientFor(null).SendAsync(request);
        Assert.Equal(HttpStatusCode.Created, made.StatusCode);
        HttpClient client = _platform.ClientFor((await made.ReadJsonAsync()).GetProperty("apiKey").GetString());

        string?[] agents = [];
        await Eventually.TrueAsync(async () => (agents = [.. (await client.GetJsonAsync("/api/v1/agents")).GetProperty("data").EnumerateArray().Select(a => a.GetProperty("slug").GetString())]).Length >= 3, "the examples are there");

        Assert.Equal(["assistant", "extractor", "support"], agents.Order());
    }

    [GeneratedRegex(@"\{[^}]+\}")]
    private static partial Regex Parameter();

    [GeneratedRegex("#/components/schemas/([^\"]+)")]
    private static partial Regex Reference();
}
