using MultiAgent.Orchestrator.Chat;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Notices a model that goes round in circles: the same call three times in a row, or two calls in turn three times.</summary>
internal sealed class CallGuard
{
    public const string Repeated = "repeated_tool_call";
    public const string Oscillation = "oscillation";

    private const int Window = 6;

    private readonly List<string> _last = [];

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
}
