using System.Text;
using System.Text.Json;
using MultiAgent.Orchestrator.Chat;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>
/// Makes a response out of a run's log, event by event. The same log always gives the same output, whether it is read as it grows or long afterwards, in the
/// process that works on the run or in another.
/// </summary>
/// <param name="request">What was asked.</param>
/// <param name="suffix">The run's id without its prefix.</param>
/// <param name="stream">Is told of each step; null when only the result is wanted.</param>
internal sealed class ResponseFold(ResponseRequest request, string suffix, ResponseEvents? stream)
{
    private ResponseItem? _open;
    // What was said in this step and is said again by the message that ends the run.
    private byte[] _said = [];
    // The text in the making is that of a call of the model that was lost with its process.
    private bool _stale;
    private bool _started;

    public List<ResponseItem> Items { get; } = [];

    /// <summary>Text of the message in the making.</summary>
    public void Text(ReadOnlySpan<byte> text)
    {
        if (_stale || text.IsEmpty) return;
        _open ??= Open();
        _open.Append(text);
        stream?.Text(_open, text);
    }

    public void Apply(RunEvent e)
    {
        switch (e.Type)
        {
            case RunEventTypes.Accepted:
                stream?.Created(request.Background);
                break;
            case RunEventTypes.Started when !_started:
                _started = true;
                stream?.InProgress();
                break;
            case RunEventTypes.Resumed:
                _stale = _open is not null;
                break;
            case RunEventTypes.ModelCalled:
                _said = [];
                break;
            case RunEventTypes.ModelCompleted:
                using (var document = JsonDocument.Parse(e.Data)) ModelCompleted(document.RootElement);
                break;
            case RunEventTypes.MessageCompleted:
                using (var document = JsonDocument.Parse(e.Data)) MessageCompleted(document.RootElement);
                break;
        }
    }

    /// <summary>The run has ended.</summary>
    public void End(RunRecord run)
    {
        if (run is { Kind: RunKind.Workflow, Status: RunStatus.Completed }) Close(Encoding.UTF8.GetBytes(WorkflowText.OfOutput(run.Output)));
        stream?.Ended(this, run);
    }

    private void ModelCompleted(JsonElement data)
    {
        // Without a message, message.completed tells it; without calls, it was sent back and is no part of the answer.
        if (!data.TryGetProperty("message", out JsonElement message) || !message.TryGetProperty("tool_calls", out _)) return;
        _said = message.TryGetProperty("content", out JsonElement content) && content.ValueKind == JsonValueKind.String ? Encoding.UTF8.GetBytes(content.GetString()!) : [];
        if (_said.Length > 0) Close(_said);
    }

    private void MessageCompleted(JsonElement data)
    {
        byte[] text = Encoding.UTF8.GetBytes(data.GetProperty("text").GetString()!);
        if (_open is null && _said.Length > 0 && text.AsSpan().StartsWith(_said)) text = text[_said.Length..];
        if (text.Length > 0) Close(text);
        if (!data.TryGetProperty("toolCalls", out JsonElement calls)) return;
        foreach (ToolCall call in ResponseItem.Calls(calls))
        {
            var item = new ResponseItem { Id = $"fc_{suffix}{Items.Count}", Index = Items.Count, Call = call, IsDone = true };
            Items.Add(item);
            stream?.Call(item);
        }
    }

    private ResponseItem Open()
    {
        var item = new ResponseItem { Id = $"msg_{suffix}{Items.Count}", Index = Items.Count };
        Items.Add(item);
        stream?.Opened(item);
        return item;
    }

    /// <summary>Ends the message in the making with its whole text.</summary>
    private void Close(ReadOnlySpan<byte> text)
    {
        _open ??= Open();
        if (text.StartsWith(_open.Text))
        {
            ReadOnlySpan<byte> rest = text[_open.Text.Length..];
            _open.Append(rest);
            stream?.Text(_open, rest);
        }
        else _open.Replace(text);
        _open.IsDone = true;
        stream?.Closed(_open);
        _open = null;
        _stale = false;
    }
}
