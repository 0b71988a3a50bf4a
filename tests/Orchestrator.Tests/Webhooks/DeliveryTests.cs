using System.Text.Json;
using MultiAgent.Orchestrator.Tests.Support;
using MultiAgent.Orchestrator.Webhooks;

namespace MultiAgent.Orchestrator.Tests.Webhooks;

public sealed class DeliveryTests
{
    [Fact]
    public void Schedule_GrowsIsJitteredHonoursRetryAfterAndEnds()
    {
        TimeSpan[] pauses = [.. Enumerable.Range(1, DeliverySchedule.MaxAttempts - 1).Select(n => DeliverySchedule.After(n, null, 0.5)!.Value)];

        Assert.Equal(pauses.Order(), pauses);
        Assert.True(pauses.Aggregate((a, b) => a + b) > TimeSpan.FromDays(3));
        Assert.Null(DeliverySchedule.After(DeliverySchedule.MaxAttempts, null, 0.5));
        Assert.NotEqual(DeliverySchedule.After(1, null, 0), DeliverySchedule.After(1, null, 1));
        Assert.Equal(TimeSpan.FromMinutes(7), DeliverySchedule.After(1, TimeSpan.FromMinutes(7), 0.5));
        Assert.Equal(TimeSpan.FromHours(24), DeliverySchedule.After(1, TimeSpan.FromDays(400), 0.5));
    }

    [Fact]
    public async Task PrivateAddress_IsNotCalledUnlessAllowed()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync();
        await using TestHost host = await TestHost.StartAsync();
        string port = new Uri(receiver.Url).Port.ToString(System.Globalization.CultureInfo.InvariantCulture);

        Assert.Equal(400, (await host.Alpha.PostJsonAsync("/api/v1/webhook-endpoints", new { url = receiver.Url + "/x" })).Status);
        JsonElement endpoint = (await host.Alpha.PostJsonAsync("/api/v1/webhook-endpoints", new { url = $"https://127.0.0.1:{port}/x" })).Body;
        string path = $"/api/v1/webhook-endpoints/{endpoint.Text("id")}";
        await host.Alpha.PostJsonAsync(path + "/test", new { });
        JsonElement delivery = default;
        await Waiting.UntilAsync(async () => (delivery = (await host.Alpha.GetJsonAsync(path + "/deliveries")).Body.GetProperty("data")[0]).GetProperty("attempts").GetInt32() == 1, "an attempt");

        Assert.Equal(("pending", "address_refused"), (delivery.Text("status"), delivery.Text("lastError")));
        Assert.Empty(receiver.At("/x"));
    }

    [Fact]
    public async Task SlowReceiver_DoesNotHoldTheOthers_AndWhatFailedComesAgain()
    {
        await using WebhookReceiver receiver = await WebhookReceiver.StartAsync();
        var gate = new TaskCompletionSource();
        int refused = 0;
        receiver.Answer = async (r, response) =>
        {
            if (r.Path == "/slow") await gate.Task;
            if (r.Path == "/flaky" && Interlocked.Increment(ref refused) == 1) response.StatusCode = 503;
        };
        await using TestHost host = await TestHost.StartAsync(settings: new Dictionary<string, string?> { ["Webhooks:AllowPrivateNetworks"] = "true", ["Webhooks:MaxConcurrent"] = "8", ["Webhooks:TimeoutSeconds"] = "60" });
        string slow = await CreateAsync(host, receiver.Url + "/slow"), quick = await CreateAsync(host, receiver.Url + "/quick"), flaky = await CreateAsync(host, receiver.Url + "/flaky");

        for (int i = 0; i < 12; i++) await host.Alpha.PostJsonAsync($"/api/v1/webhook-endpoints/{slow}/test", new { });
        await host.Alpha.PostJsonAsync($"/api/v1/webhook-endpoints/{quick}/test", new { });
        await receiver.NextAsync("/quick");
        Assert.InRange(receiver.At("/slow").Count, 0, 3);
        await host.Alpha.PostJsonAsync($"/api/v1/webhook-endpoints/{flaky}/test", new { });
        await receiver.NextAsync("/flaky", 2);
        gate.SetResult();
        await receiver.NextAsync("/slow", 12);

        ReceivedWebhook[] twice = [.. receiver.At("/flaky")];
        Assert.Equal(twice[0].Id, twice[1].Id);
        Assert.Equal(twice[0].Body, twice[1].Body);
        Assert.Equal(12, receiver.At("/slow").Select(r => r.Id).Distinct().Count());

        static async Task<string> CreateAsync(TestHost host, string url) => (await host.Alpha.PostJsonAsync("/api/v1/webhook-endpoints", new { url })).Body.Text("id");
    }
}
