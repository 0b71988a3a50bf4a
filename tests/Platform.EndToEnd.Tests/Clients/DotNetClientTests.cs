using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using OpenAI.Models;

namespace MultiAgent.Platform.EndToEnd.Tests.Clients;

/// <summary>The official client of NuGet, against a model of a provider and against an agent.</summary>
[Collection(SharedProcess.Name)]
public sealed class DotNetClientTests(RunningPlatform platform)
{
    private static readonly ChatTool Weather = ChatTool.CreateFunctionTool("get_weather", "The weather in a city",
        BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}"""));

    [Theory]
    [InlineData("fake/priced")]
    [InlineData("agent/helper")]
    public async Task Chat_OfAnyKindOfModel_IsRead(string model)
    {
        ChatCompletion answer = await Chat(model).CompleteChatAsync([new UserChatMessage("What is 12 * (3 + 4)?")]);

        Assert.NotEmpty(answer.Content[0].Text);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
        Assert.Equal(answer.Usage.TotalTokenCount, answer.Usage.InputTokenCount + answer.Usage.OutputTokenCount);
    }

    [Theory]
    [InlineData("fake/priced")]
    [InlineData("agent/helper")]
    public async Task Stream_OfAnyKindOfModel_IsReadWithUsage(string model)
    {
        var text = new StringBuilder();
        ChatTokenUsage? usage = null;
        await foreach (StreamingChatCompletionUpdate update in Chat(model).CompleteChatStreamingAsync([new UserChatMessage("What is 12 * (3 + 4)?")]))
        {
            foreach (ChatMessageContentPart part in update.ContentUpdate) text.Append(part.Text);
            usage = update.Usage ?? usage;
        }

        Assert.NotEqual(0, text.Length);
        Assert.NotNull(usage);
    }

    [Theory]
    [InlineData("fake/tools")]
    [InlineData("agent/helper")]
    public async Task Tools_OfAnyKindOfModel_MakeTheRoundTrip(string model)
    {
        List<ChatMessage> messages = [new UserChatMessage("What is the weather in Hue?")];
        var options = new ChatCompletionOptions { Tools = { Weather } };

        ChatCompletion first = await Chat(model).CompleteChatAsync(messages, options);
        Assert.Equal(ChatFinishReason.ToolCalls, first.FinishReason);
        ChatToolCall call = Assert.Single(first.ToolCalls);
        Assert.Equal("get_weather", call.FunctionName);
        Assert.NotEmpty(JsonDocument.Parse(call.FunctionArguments).RootElement.GetProperty("city").GetString()!);
        messages.Add(new AssistantChatMessage(first));
        messages.Add(new ToolChatMessage(call.Id, """{"temperature":31}"""));
        ChatCompletion second = await Chat(model).CompleteChatAsync(messages, options);

        Assert.Equal(ChatFinishReason.Stop, second.FinishReason);
        Assert.NotEmpty(second.Content[0].Text);
    }

    [Theory]
    [InlineData("fake/schema")]
    [InlineData("agent/helper")]
    public async Task StructuredOutput_OfAnyKindOfModel_FollowsTheSchema(string model)
    {
        var options = new ChatCompletionOptions
        {
            ResponseFormat = ChatResponseFormat.CreateJsonSchemaFormat("person", BinaryData.FromString(
                """{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}"""), jsonSchemaIsStrict: true),
        };

        ChatCompletion answer = await Chat(model).CompleteChatAsync([new UserChatMessage("Maria is 34 years old.")], options);

        JsonElement person = JsonDocument.Parse(answer.Content[0].Text).RootElement;
        Assert.Equal(JsonValueKind.String, person.GetProperty("name").ValueKind);
        Assert.Equal(JsonValueKind.Number, person.GetProperty("age").ValueKind);
    }

    [Theory]
    [InlineData("local/embeddings")]
    [InlineData("fake/embedding")]
    public async Task Embeddings_InTheClientsFormat_AreRead(string model)
    {
        OpenAIEmbedding embedding = await Client().GetEmbeddingClient(model).GenerateEmbeddingAsync("a quiet river");

        Assert.False(embedding.ToFloats().IsEmpty);
    }

    [Fact]
    public async Task Models_OfThePlatform_AreListed()
    {
        ClientResult<OpenAIModelCollection> models = await Client().GetOpenAIModelClient().GetModelsAsync();

        Assert.Contains(models.Value, m => m.Id == "agent/helper");
    }

    [Theory]
    [InlineData("no-such-model", 404)]
    [InlineData("fake/limited", 429)]
    public async Task Refusal_OfARequest_HasItsStatus(string model, int status)
    {
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(() => Chat(model).CompleteChatAsync([new UserChatMessage("hi")]));

        Assert.Equal(status, refused.Status);
    }

    [Fact]
    public async Task Refusal_OfAKey_HasItsStatus()
    {
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(() =>
            Client("maap_not-a-key-of-this-platform-at-all").GetChatClient("auto").CompleteChatAsync([new UserChatMessage("hi")]));

        Assert.Equal(401, refused.Status);
    }

    [Fact]
    public async Task Abort_OfAStream_ReachesTheProvider()
    {
        int aborted = platform.Provider.Aborted;
        using var cancel = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate _ in Chat("fake/endless").CompleteChatStreamingAsync([new UserChatMessage("go")], cancellationToken: cancel.Token))
                cancel.CancelAfter(TimeSpan.FromMilliseconds(100)); // while the client waits for the next piece
        });

        await Eventually.TrueAsync(() => platform.Provider.Aborted > aborted, "the provider sees the abort");
    }

    private ChatClient Chat(string model) => Client().GetChatClient(model);

    private OpenAIClient Client(string key = PlatformEnvironment.Key) => new(new ApiKeyCredential(key),
        new OpenAIClientOptions { Endpoint = new Uri(platform.Process.Url, "v1"), RetryPolicy = new ClientRetryPolicy(0), NetworkTimeout = TimeSpan.FromSeconds(30) });
}
