using System.Text.Json;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Guardrails;
using MultiAgent.Orchestrator.Responses;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>What a run was asked, as its first event keeps it.</summary>
internal sealed record RunInput
{
    public const string ChatSurface = "chat";
    public const string CompletionSurface = "completion";
    public const string RunSurface = "run";
    public const string StepSurface = "step";
    public const string McpSurface = "mcp";
    public const string A2aSurface = "a2a";
    public const string ResponseSurface = "response";
    public const string ScheduleSurface = "schedule";
    public const string CompensationSurface = "compensation";

    /// <summary>The new message of a conversation; null for a completion.</summary>
    public string? Message { get; init; }

    /// <summary>Id of <see cref="Message"/>.</summary>
    public string? MessageId { get; init; }

    /// <summary>The inputs of a workflow: a JSON object.</summary>
    public JsonElement? Inputs { get; init; }

    /// <summary>The run, and the place in its log, that a workflow's run goes on from.</summary>
    public (string RunId, long Seq)? ForkedFrom { get; init; }

    /// <summary>What a run is to undo that another could not; null for every other run.</summary>
    public UndoInput? Undo { get; init; }

    /// <summary>The client's request; null for a chat.</summary>
    public CompletionInput? Completion { get; init; }

    /// <summary>The request of the Responses API that <see cref="Completion"/> was made of.</summary>
    public ResponseRequest? Response { get; init; }

    /// <summary>What is new to an agent: the client's messages, or the one of a chat.</summary>
    public IReadOnlyList<ChatMessage> Messages => Completion?.Messages ?? [ChatMessage.Of(ChatRole.User, Message!)];

    public IReadOnlyDictionary<string, JsonElement>? Variables { get; init; }

    /// <summary>The answer is streamed to somebody.</summary>
    public required bool Stream { get; init; }

    /// <summary>The conversation began with this run: there is no history to read.</summary>
    public bool NewConversation { get; init; }

    /// <summary>What guardrails found in it; null when nothing.</summary>
    public InputVerdict? Verdict { get; init; }

    /// <summary>A journey of the client's that the run is a step of.</summary>
    public string? ClientJourneyId { get; init; }

    /// <summary>The data of <c>run.accepted</c>.</summary>
    public byte[] ToEvent(EventWriter writer, RunRecord run) => writer.Write((Input: this, Run: run), static (json, state) =>
    {
        (RunInput input, RunRecord run) = state;
        json.WriteString("runId"u8, run.Id);
        if (run.ConversationId is not null) json.WriteString("conversationId"u8, run.ConversationId);
        json.WriteString(run.Kind == RunKind.Workflow ? "workflow"u8 : "agent"u8, run.Agent);
        json.WriteNumber(run.Kind == RunKind.Workflow ? "workflowVersion"u8 : "agentVersion"u8, run.AgentVersion);
        if (run.ParentRunId is not null) json.WriteString("parentRunId"u8, run.ParentRunId);
        if (input.Inputs is { } inputs)
        {
            json.WritePropertyName("inputs"u8);
            inputs.WriteTo(json);
        }
        if (input.ForkedFrom is { } origin)
        {
            json.WriteString("forkedFrom"u8, origin.RunId);
            json.WriteNumber("forkedAfterSeq"u8, origin.Seq);
        }
        input.Undo?.Write(json);
        json.WriteBoolean("stream"u8, input.Stream);
        if (input.NewConversation) json.WriteBoolean("newConversation"u8, true);
        if (input.ClientJourneyId is not null) json.WriteString("journeyId"u8, input.ClientJourneyId);
        if (input.Verdict is { } verdict)
        {
            if (verdict.Blocked is not null) json.WriteString("blocked"u8, verdict.Blocked);
            json.WriteStartArray("guardrails"u8);
            foreach (GuardrailEvent e in verdict.Events)
            {
                json.WriteStartObject();
                e.Write(json);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        if (input.Message is not null)
        {
            json.WriteString("messageId"u8, input.MessageId);
            json.WriteString("message"u8, input.Message);
        }
        if (input.Response is { } response)
        {
            json.WritePropertyName("response"u8);
            json.WriteRawValue(response.Body.Span, skipInputValidation: true);
        }
        else if (input.Completion is { } completion)
        {
            json.WritePropertyName("request"u8);
            json.WriteRawValue(completion.Body.Span, skipInputValidation: true);
        }
        else WriteVariables(json, input.Variables);
    });

    /// <summary>Reads it back.</summary>
    public static RunInput FromEvent(byte[] data)
    {
        using var document = JsonDocument.Parse(data, new JsonDocumentOptions { MaxDepth = 1002 });
        JsonElement root = document.RootElement;
        ResponseRequest? response = root.TryGetProperty("response", out JsonElement asked) ? ResponseRequest.Parse(System.Text.Encoding.UTF8.GetBytes(asked.GetRawText())) : null;
        CompletionInput? completion = response?.Completion ?? (root.TryGetProperty("request", out JsonElement request)
            ? CompletionInput.Parse(System.Text.Encoding.UTF8.GetBytes(request.GetRawText())) : null);
        return new RunInput
        {
            Message = Text("message"),
            Inputs = root.TryGetProperty("inputs", out JsonElement inputs) ? inputs.Clone() : null,
            MessageId = Text("messageId"),
            Undo = root.TryGetProperty("undo", out JsonElement undo) ? UndoInput.Read(undo) : null,
            Completion = completion,
            Response = response,
            Variables = completion?.Variables ?? (root.TryGetProperty("variables", out JsonElement variables)
                ? variables.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.Clone()) : null),
            Stream = root.GetProperty("stream").GetBoolean(),
            NewConversation = root.TryGetProperty("newConversation", out _),
            ClientJourneyId = Text("journeyId"),
            Verdict = root.TryGetProperty("guardrails", out JsonElement guardrails) ? new InputVerdict(Text("blocked"), [.. guardrails.EnumerateArray().Select(GuardrailEvent.Read)]) : null,
        };

        string? Text(string name) => root.TryGetProperty(name, out JsonElement value) ? value.GetString() : null;
    }

    private static void WriteVariables(Utf8JsonWriter json, IReadOnlyDictionary<string, JsonElement>? variables)
    {
        if (variables is not { Count: > 0 }) return;
        json.WriteStartObject("variables"u8);
        foreach ((string name, JsonElement value) in variables)
        {
            json.WritePropertyName(name);
            value.WriteTo(json);
        }
        json.WriteEndObject();
    }
}
