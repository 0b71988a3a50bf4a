using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Tests.Workflows;
using MultiAgent.Orchestrator.Workflows;

namespace MultiAgent.Orchestrator.Tests.Webhooks;

/// <summary>One host and one receiver for all tests; each has a path of its own.</summary>
public sealed class WebhookHost : IAsyncLifetime
{
    internal TestHost Host { get; private set; } = null!;

    internal WebhookReceiver Receiver { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Receiver = await WebhookReceiver.StartAsync();
        Host = await TestHost.StartAsync(settings: new Dictionary<string, string?> { ["Webhooks:AllowPrivateNetworks"] = "true" }, configure: services => services.AddSingleton<IWorkflowSource>(
            new TestWorkflows().Add("ask", "  - id: ask\n    type: human\n    role: developer\n    title: May I?\n").Add("stuck", """
                  - {id: done, type: transform, output: 1, compensate: {id: undo, type: tool, tool: calculator, arguments: {expression: "1 / 0"}, retry: {attempts: 2, delaySeconds: 0}}}
                  - {id: stop, type: end, status: failed}
                """)));
        await Host.Alpha.CreateAgentAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await Host.DisposeAsync();
        await Receiver.DisposeAsync();
    }
}

public sealed class WebhookTests(WebhookHost fixture) : IClassFixture<WebhookHost>
{
    private readonly HttpClient _client = fixture.Host.Alpha;
    private readonly WebhookReceiver _receiver = fixture.Receiver;

    [Fact]
    public async Task RunOfItsOwnWebhook_IsToldSignedWithItsEnd()
    {
        JsonElement run = (await _client.PostJsonAsync("/api/v1/runs", new { agent = "helper", message = "Hi", metadata = new { order = "17" }, webhook = new { url = _receiver.Url + "/own" } })).Body;
        ReceivedWebhook told = await _receiver.NextAsync("/own");

        Assert.True(told.IsSignedWith(run.Text("webhookSecret")));
        Assert.False(told.IsSignedWith("whsec_" + Convert.ToBase64String(new byte[32])));
        Assert.Equal(("run.completed", run.Text("id"), "completed", "Hello there", "17"), (told.Json.Text("type"), told.Json.Text("data", "runId"), told.Json.Text("data", "status"), told.Json.Text("data", "message"), told.Json.Text("data", "metadata", "order")));
        Assert.StartsWith("whd_", told.Id, StringComparison.Ordinal);
        // The secret is not shown again, and the endpoint is not among the tenant's.
        Assert.False((await _client.GetJsonAsync($"/api/v1/runs/{run.Text("id")}")).Body.TryGetProperty("webhookSecret", out JsonElement secret) && secret.ValueKind == JsonValueKind.String);
        Assert.DoesNotContain("/own", (await _client.GetJsonAsync("/api/v1/webhook-endpoints")).Body.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RepeatedStart_UnderOneKey_IsToldOnce()
    {
        var body = new { agent = "helper", message = "Hi", webhook = new { url = _receiver.Url + "/repeated" } };

        JsonElement[] runs = [.. (await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => _client.PostJsonAsync("/api/v1/runs", body, ("Idempotency-Key", "webhook-1"))))).Select(r => r.Body)];
        await _receiver.NextAsync("/repeated");
        await _client.PostJsonAsync("/api/v1/runs", body, ("Idempotency-Key", "webhook-1"));
        await (await StartAsync("/after")).WaitAsync();

        Assert.Single(runs.Select(r => r.Text("id")).Distinct());
        Assert.Single(_receiver.At("/repeated"));
    }

    [Fact]
    public async Task Endpoint_OfTheTenant_IsToldOfWhatItAskedForAndOfNobodyElse()
    {
        JsonElement endpoint = await CreateAsync("/failures", ["run.failed"]);
        JsonElement all = await CreateAsync("/everything");
        fixture.Host.Model.Script(new FakeAnswer { Status = 400, ErrorBody = """{"error":{"message":"No","code":"invalid"}}""" });

        await _client.PostJsonAsync("/api/v1/runs?wait=20", new { agent = "helper", message = "fail" });
        await _client.PostJsonAsync("/api/v1/runs?wait=20", new { agent = "helper", message = "fine" });
        ReceivedWebhook failed = await _receiver.NextAsync("/failures");
        await _receiver.NextAsync("/everything", 2);

        Assert.Equal(("run.failed", "failed"), (failed.Json.Text("type"), failed.Json.Text("data", "status")));
        Assert.True(failed.IsSignedWith(endpoint.Text("secret")));
        Assert.Single(_receiver.At("/failures"));
        await DeleteAsync(endpoint, all);
    }

    [Fact]
    public async Task Approval_IsToldAsWaitingBeforeTheEnd()
    {
        JsonElement endpoint = await CreateAsync("/approvals");
        string run = (await _client.PostJsonAsync("/api/v1/runs", new { workflow = "ask" })).Body.Text("id");
        ReceivedWebhook asked = await _receiver.NextAsync("/approvals");

        Assert.Equal(("run.waiting", run, "May I?", "developer"), (asked.Json.Text("type"), asked.Json.Text("data", "runId"), asked.Json.Text("data", "approval", "title"), asked.Json.Text("data", "approval", "role")));
        await _client.PostJsonAsync($"/api/v1/approvals/{asked.Json.Text("data", "approval", "id")}", new { decision = "approve" });
        Assert.Equal("run.completed", (await _receiver.NextAsync("/approvals", 2)).Json.Text("type"));
        await DeleteAsync(endpoint);
    }

    [Fact]
    public async Task Compensation_ThatFailed_IsToldBesideTheEnd()
    {
        JsonElement endpoint = await CreateAsync("/stuck", ["run.compensation_failed"]);
        JsonElement run = (await _client.PostJsonAsync("/api/v1/runs?wait=20", new { workflow = "stuck", inputs = new { } })).Body;
        ReceivedWebhook told = await _receiver.NextAsync("/stuck");

        Assert.True(told.IsSignedWith(endpoint.Text("secret")));
        Assert.Equal(("run.compensation_failed", run.Text("id"), "/done", "tool_failed"), (told.Json.Text("type"), told.Json.Text("data", "runId"), told.Json.Text("data", "compensation", "step"), told.Json.Text("data", "compensation", "code")));
        Assert.Equal(200, (await _client.GetJsonAsync($"/api/v1/compensations/dead-letters/{told.Json.Text("data", "compensation", "deadLetterId")}")).Status);
        await DeleteAsync(endpoint);
    }

    [Fact]
    public async Task Rotation_SignsWithBothSecretsForTheOverlap()
    {
        JsonElement endpoint = await CreateAsync("/rotated");
        string old = endpoint.Text("secret");

        string next = (await _client.PostJsonAsync($"/api/v1/webhook-endpoints/{endpoint.Text("id")}/rotate", new { overlapHours = 1 })).Body.Text("secret");
        await _client.PostJsonAsync($"/api/v1/webhook-endpoints/{endpoint.Text("id")}/test", new { });
        ReceivedWebhook both = await _receiver.NextAsync("/rotated");
        string last = (await _client.PostJsonAsync($"/api/v1/webhook-endpoints/{endpoint.Text("id")}/rotate", new { overlapHours = 0 })).Body.Text("secret");
        await _client.PostJsonAsync($"/api/v1/webhook-endpoints/{endpoint.Text("id")}/test", new { });
        ReceivedWebhook alone = await _receiver.NextAsync("/rotated", 2);

        Assert.True(both.IsSignedWith(old) && both.IsSignedWith(next));
        Assert.Equal("webhook.test", both.Json.Text("type"));
        Assert.True(alone.IsSignedWith(last));
        Assert.False(alone.IsSignedWith(old) || alone.IsSignedWith(next));
        Assert.False((await _client.GetJsonAsync($"/api/v1/webhook-endpoints/{endpoint.Text("id")}")).Body.TryGetProperty("secret", out JsonElement shown) && shown.ValueKind == JsonValueKind.String);
        await DeleteAsync(endpoint);
    }

    [Fact]
    public async Task Gone_DisablesTheEndpointUntilItIsEnabledAgain()
    {
        JsonElement endpoint = await CreateAsync("/gone");
        string path = $"/api/v1/webhook-endpoints/{endpoint.Text("id")}";
        _receiver.Answer = (r, response) => Task.FromResult(response.StatusCode = r.Path == "/gone" ? 410 : 204);

        await _client.PostJsonAsync(path + "/test", new { });
        await Waiting.UntilAsync(async () => !(await _client.GetJsonAsync(path)).Body.GetProperty("enabled").GetBoolean(), "the endpoint is disabled");
        Assert.Equal("gone", (await _client.GetJsonAsync(path)).Body.Text("disabledReason"));
        Assert.Equal(409, (await _client.PostJsonAsync(path + "/test", new { })).Status);
        JsonElement delivery = (await _client.GetJsonAsync(path + "/deliveries?status=failed")).Body.GetProperty("data")[0];
        Assert.Equal(410, delivery.GetProperty("lastStatus").GetInt32());
        _receiver.Answer = null;
        Assert.Equal(200, (await _client.SendAsync(HttpMethod.Put, path, new { url = _receiver.Url + "/gone", enabled = true })).Status);
        Assert.Equal(202, (await _client.PostJsonAsync($"{path}/deliveries/{delivery.Text("id")}/redeliver", "")).Status);
        ReceivedWebhook again = await _receiver.NextAsync("/gone", 2);

        Assert.Equal(delivery.Text("id"), again.Id);
        await Waiting.UntilAsync(async () => (await _client.GetJsonAsync(path + "/deliveries?status=delivered")).Body.GetProperty("data").GetArrayLength() == 1, "it is delivered");
        await DeleteAsync(endpoint);
    }

    [Theory]
    [InlineData("""{"url":"ftp://hooks.example"}""")]
    [InlineData("""{"url":"https://user:pass@hooks.example"}""")]
    [InlineData("""{"url":"nope"}""")]
    [InlineData("""{}""")]
    [InlineData("""{"url":"https://hooks.example","events":["run.nope"]}""")]
    [InlineData("""{"url":"https://hooks.example","events":[]}""")]
    [InlineData("""{"url":"https://hooks.example","secret":"whsec_c2hvcnQ="}""")]
    public async Task Endpoint_ThatIsWrong_Is400(string body) => Assert.Equal(400, (await _client.PostJsonAsync("/api/v1/webhook-endpoints", body)).Status);

    [Fact]
    public async Task Endpoint_OfAnotherTenant_Is404()
    {
        JsonElement endpoint = await CreateAsync("/mine");
        HttpClient beta = fixture.Host.Beta;
        string path = $"/api/v1/webhook-endpoints/{endpoint.Text("id")}";

        Assert.Equal(404, (await beta.GetJsonAsync(path)).Status);
        Assert.Equal(404, (await beta.GetJsonAsync(path + "/deliveries")).Status);
        Assert.Equal(404, (await beta.PostJsonAsync(path + "/test", new { })).Status);
        Assert.Equal(404, (await beta.PostJsonAsync(path + "/rotate", new { })).Status);
        Assert.Equal(404, (await beta.SendAsync(HttpMethod.Put, path, new { url = "https://x.example" })).Status);
        Assert.Equal(404, (await beta.SendAsync(HttpMethod.Delete, path)).Status);
        Assert.Empty((await beta.GetJsonAsync("/api/v1/webhook-endpoints")).Body.GetProperty("data").EnumerateArray());
        await DeleteAsync(endpoint);
        Assert.Equal(404, (await _client.GetJsonAsync(path)).Status);
    }

    private async Task<JsonElement> CreateAsync(string path, string[]? events = null)
    {
        (int status, JsonElement body, _) = await _client.PostJsonAsync("/api/v1/webhook-endpoints", new { url = _receiver.Url + path, events });
        Assert.True(status == 201, body.ToString());
        return body;
    }

    private async Task DeleteAsync(params JsonElement[] endpoints)
    {
        foreach (JsonElement endpoint in endpoints) Assert.Equal(204, (await _client.SendAsync(HttpMethod.Delete, $"/api/v1/webhook-endpoints/{endpoint.Text("id")}")).Status);
    }

    private async Task<Told> StartAsync(string path)
    {
        await _client.PostJsonAsync("/api/v1/runs", new { agent = "helper", message = "Hi", webhook = new { url = _receiver.Url + path } });
        return new Told(_receiver, path);
    }

    private sealed record Told(WebhookReceiver Receiver, string Path)
    {
        public Task WaitAsync() => Receiver.NextAsync(Path);
    }
}
