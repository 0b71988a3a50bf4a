using System.Text;
using System.Text.Json;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>What a model is told before the input of a response: the instructions, and the responses or the conversation that it goes on from.</summary>
internal static class ResponseHistory
{
    // As many as a conversation hands to a model.
    private const int MaxMessages = 400;
    private const int Page = 1000;

    public static async ValueTask<History> ReadAsync(IRunStore store, RunRecord run, ResponseRequest request)
    {
        var messages = new List<ChatMessage>();
        // Those of earlier responses are not carried over.
        if (request.Instructions is { } instructions) messages.Add(ChatMessage.Of(ChatRole.System, instructions));
        History stored = run.ConversationId is { } conversation ? await RunExecution.StoredHistoryAsync(store, run.TenantId, conversation, run.Id) : History.None;
        messages.AddRange(stored.Messages);
        var turns = new Stack<IReadOnlyList<ChatMessage>>();
        int count = 0;
        for (string? previous = request.PreviousId; previous is not null && count < MaxMessages;)
        {
            if (ResponseWriter.RunIdOf(previous) is not { } id || await store.FindAsync(run.TenantId, id) is not { } earlier) break;
            (ResponseRequest? asked, IReadOnlyList<ChatMessage> turn) = await TurnAsync(store, earlier);
            turns.Push(turn);
            count += turn.Count;
            previous = asked?.PreviousId;
        }
        foreach (IReadOnlyList<ChatMessage> turn in turns) messages.AddRange(turn);
        return new History(stored.Summary, messages);
    }

    /// <summary>What was said in a response: its input, the calls that were made, and its answer.</summary>
    private static async Task<(ResponseRequest? Request, IReadOnlyList<ChatMessage> Messages)> TurnAsync(IRunStore store, RunRecord run)
    {
        ResponseRequest? request = null;
        var messages = new List<ChatMessage>();
        long last = 0;
        while (await store.EventsAsync(run.TenantId, run.Id, last, Page) is { Count: > 0 } events)
        {
            last = events[^1].Seq;
            foreach (RunEvent e in events)
            {
                if (e.Type == RunEventTypes.Accepted)
                {
                    RunInput input = RunInput.FromEvent(e.Data);
                    request = input.Response;
                    messages.AddRange(input.Messages);
                }
                else Add(messages, e);
            }
        }
        if (run is { Kind: RunKind.Workflow, Output: not null }) messages.Add(ChatMessage.Assistant(Encoding.UTF8.GetBytes(WorkflowText.OfOutput(run.Output)), []));
        return (request, messages);
    }

    private static void Add(List<ChatMessage> messages, RunEvent e)
    {
        if (e.Type is not (RunEventTypes.ModelCompleted or RunEventTypes.ToolCallCompleted or RunEventTypes.MessageCompleted)) return;
        using var document = JsonDocument.Parse(e.Data);
        JsonElement data = document.RootElement;
        switch (e.Type)
        {
            case RunEventTypes.ModelCompleted when data.TryGetProperty("message", out JsonElement calling) && calling.TryGetProperty("tool_calls", out _):
                messages.Add(ChatMessage.Parse(Encoding.UTF8.GetBytes(calling.GetRawText())));
                break;
            case RunEventTypes.ToolCallCompleted:
                messages.Add(ChatMessage.ToolResult(data.GetProperty("id").GetString()!, data.GetProperty("result").GetString()!));
                break;
            // With calls, the model's own message is there already.
            case RunEventTypes.MessageCompleted when !data.TryGetProperty("toolCalls", out _) && data.GetProperty("text").GetString() is { Length: > 0 } text:
                messages.Add(ChatMessage.Of(ChatRole.Assistant, text));
                break;
        }
    }
}
