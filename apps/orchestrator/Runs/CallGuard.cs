using MultiAgent.Orchestrator.Chat;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Notices a model that goes round in circles: the same call three times in a row, or two calls in turn three times.</summary>
internal sealed class CallGuard
{
    public const string Repeated = "repeated_tool_call";
    public const string Oscillation = "oscillation";

    private const int Window = 6;

    /// <summary>Another agent was asked the same again and again, and answered the same.</summary>
    public const string NoProgress = "no_progress";

    private readonly List<string> _last = [];
    private readonly Dictionary<string, int> _answers = new(StringComparer.Ordinal);

    /// <summary>Notes a call that is about to be made; the reason to stop instead, or null.</summary>
    public string? Note(ToolCall call)
    {
        _last.Add($"{call.Name}\n{call.CanonicalArguments()}");
        if (_last.Count > Window) _last.RemoveAt(0);
        int n = _last.Count;
        if (n >= 3 && _last[n - 1] == _last[n - 2] && _last[n - 2] == _last[n - 3]) return Repeated;
        if (n < Window) return null;
        for (int i = 2; i < Window; i++)
            if (_last[i] != _last[i - 2]) return null;
        return Oscillation;
    }

    /// <summary>Notes what the run of a call has answered; true when the same answer to the same question came as often as it may, whatever was done in between.</summary>
    /// <param name="call">The question.</param>
    /// <param name="answer">As the log has it.</param>
    /// <param name="limit">0: as often as it likes.</param>
    public bool Answered(ToolCall call, string answer, int limit)
    {
        string state = ProgressGuard.Hash(call.Name, call.CanonicalArguments(), answer);
        return (_answers[state] = _answers.GetValueOrDefault(state) + 1) >= limit && limit > 0;
    }
}
