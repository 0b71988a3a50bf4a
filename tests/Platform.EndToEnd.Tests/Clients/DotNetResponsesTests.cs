#pragma warning disable OPENAI001 // The client's own mark for what it may still change.
using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json;
using OpenAI.Responses;

namespace MultiAgent.Platform.EndToEnd.Tests.Clients;

/// <summary>The official client's view of /v1/responses, against a model of a provider and against an agent.</summary>
[Collection(SharedProcess.Name)]
public sealed class DotNetResponsesTests(RunningPlatform platform)
{
    private static readonly FunctionTool Weather = ResponseTool.CreateFunctionTool("get_weather",
        BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}"""), strictModeEnabled: true, "The weather in a city");

    [Theory]
    [InlineData("fake/priced")]
    [InlineData("agent/helper")]
    public async Task Create_OfAnyKindOfModel_IsReadAndFoundAgain(string model)
    {
        ResponsesClient client = Client();
        ResponseResult made = await client.CreateResponseAsync(new CreateResponseOptions(model, [ResponseItem.CreateUserMessageItem("What is 12 * (3 + 4)?")]) { Instructions = "Be short.", Temperature = 0.2f });
        ResponseResult found = await client.GetResponseAsync(made.Id);

        Assert.Equal(ResponseStatus.Completed, made.Status);
        Assert.NotEmpty(made.GetOutputText());
        Assert.Equal(made.Usage.TotalTokenCount, made.Usage.InputTokenCount + made.Usage.OutputTokenCount);
        Assert.Equal(made.GetOutputText(), found.GetOutputText());
        Assert.True((await client.DeleteResponseAsync(made.Id)).Value.Deleted);
        Assert.Equal(404, (await Assert.ThrowsAsync<ClientResultException>(() => client.GetResponseAsync(made.Id))).Status);
    }

    [Theory]
    [InlineData("fake/priced")]
    [InlineData("agent/helper")]
    public async Task Stream_OfAnyKindOfModel_GivesTheTextAndEndsCompleted(string model)
    {
        var text = new StringBuilder();
        ResponseResult? end = null;
        await foreach (StreamingResponseUpdate update in await Client().CreateResponseStreamingAsync(new CreateResponseOptions(model, [ResponseItem.CreateUserMessageItem("Good morning")]) { StreamingEnabled = true }))
        {
            if (update is StreamingResponseOutputTextDeltaUpdate delta) text.Append(delta.Delta);
            if (update is StreamingResponseCompletedUpdate completed) end = completed.Response;
        }

        Assert.NotNull(end);
        Assert.Equal(end.GetOutputText(), text.ToString());
    }

    [Theory]
    [InlineData("fake/tools")]
    [InlineData("agent/helper")]
    public async Task Tools_OfAnyKindOfModel_MakeTheRoundTrip(string model)
    {
        ResponsesClient client = Client();
        ResponseResult first = await client.CreateResponseAsync(new CreateResponseOptions(model, [ResponseItem.CreateUserMessageItem("What is the weather in Hue?")]) { Tools = { Weather } });
        FunctionCallResponseItem call = Assert.Single(first.OutputItems.OfType<FunctionCallResponseItem>());
        Assert.NotEmpty(JsonDocument.Parse(call.FunctionArguments).RootElement.GetProperty("city").GetString()!);

        ResponseResult second = await client.CreateResponseAsync(new CreateResponseOptions(model, [ResponseItem.CreateFunctionCallOutputItem(call.CallId, """{"temperature":31}""")]) { Tools = { Weather }, PreviousResponseId = first.Id });

        Assert.NotEmpty(second.GetOutputText());
        Assert.Equal(first.Id, second.PreviousResponseId);
    }

    [Fact]
    public async Task Background_IsFollowedAndCancelled()
    {
        ResponsesClient client = Client();
        ResponseResult silent = await client.CreateResponseAsync(new CreateResponseOptions("fake/silent", [ResponseItem.CreateUserMessageItem("Hi")]) { BackgroundModeEnabled = true });
        ResponseResult quick = await client.CreateResponseAsync(new CreateResponseOptions("fake/priced", [ResponseItem.CreateUserMessageItem("Hi")]) { BackgroundModeEnabled = true });
        Assert.Equal(ResponseStatus.Queued, silent.Status);

        ResponseResult? end = null;
        await foreach (StreamingResponseUpdate update in await client.GetResponseStreamingAsync(new GetResponseOptions(quick.Id) { StreamingEnabled = true, StartingAfter = 2 }))
            if (update is StreamingResponseCompletedUpdate completed) end = completed.Response;

        Assert.Equal(ResponseStatus.Completed, end?.Status);
        Assert.Equal(ResponseStatus.Cancelled, (await client.CancelResponseAsync(silent.Id)).Value.Status);
    }

    [Theory]
    [InlineData("no-such-model", 404)]
    [InlineData("fake/limited", 429)]
    public async Task Refusal_OfARequest_HasItsStatus(string model, int status)
    {
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(() => Client().CreateResponseAsync(model, "Hi"));

        Assert.Equal(status, refused.Status);
    }

    private ResponsesClient Client() => new(new ApiKeyCredential(PlatformEnvironment.Key),
        new ResponsesClientOptions { Endpoint = new Uri(platform.Process.Url, "v1"), RetryPolicy = new ClientRetryPolicy(0), NetworkTimeout = TimeSpan.FromSeconds(30) });
}
