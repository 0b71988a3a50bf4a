using System.Text.Json;

namespace MultiAgent.Models.Providers.Local;

/// <summary>Decides which tools the last message of the user asks for, by the words that they share.</summary>
internal static class LocalToolChooser
{
    private const double Enough = 3;

    // Parts of names that say nothing about what a tool is for.
    private static readonly HashSet<string> s_generic = [.. "get set run call do make tool fn function api my new current the lookup info data list fetch by for of and".Split(' ')];

    // Vietnamese questions meet tools that are described in English.
    private static readonly (string Vietnamese, string English)[] s_dictionary =
    [
        ("thoi tiet", "weather"), ("nhiet do", "temperature"), ("may gio", "time clock"), ("gio hien tai", "time clock"), ("tinh ", "calculate math"), ("tim kiem", "search"), ("tim ", "search find"),
        ("dich ", "translate"), ("gui ", "send"), ("don hang", "order"), ("hoan tien", "refund"), ("lich", "calendar"), ("tai lieu", "document"), ("tra cuu", "lookup search"), ("ty gia", "exchange rate"),
    ];

    /// <summary>The tools to call now, best first; empty when the conversation is better answered.</summary>
    public static List<LocalTool> Choose(LocalConversation conversation)
    {
        if (conversation.Tools.Count == 0 || conversation.ToolChoice == "none") return [];
        if (conversation.ToolChoice == "function") return [conversation.Tools.Find(t => t.Name == conversation.ForcedTool)!];

        // Each tool once per turn of the user: that is what ends the loop.
        HashSet<string?> called = [.. conversation.FreshResults.Select(r => r.ToolName)];
        List<(LocalTool Tool, double Score)> scored = [.. conversation.Tools
            .Select(t => (Tool: t, Score: Score(t, conversation.Question)))
            .OrderByDescending(s => s.Score).ThenBy(s => s.Tool.Name, StringComparer.Ordinal)];
        List<LocalTool> chosen = [.. scored.Where(s => s.Score >= Enough && s.Score >= scored[0].Score / 2 && !called.Contains(s.Tool.Name)).Select(s => s.Tool)];
        if (chosen.Count == 0 && conversation.ToolChoice == "required") chosen = [scored[0].Tool];
        return conversation.ParallelToolCalls || chosen.Count == 0 ? chosen : [chosen[0]];
    }

    private static double Score(LocalTool tool, string question)
    {
        string folded = $"{LocalText.Fold(question)} ";
        string[] asked = [.. LocalText.ContentWords(question).Concat(s_dictionary.Where(d => folded.Contains(d.Vietnamese)).SelectMany(d => d.English.Split(' '))).Distinct()];
        HashSet<string> nameWords = Evidence.NameWords(tool.Name);
        string[] name = [.. nameWords.SelectMany(LocalText.Words)];
        string[] described = [.. LocalText.ContentWords(tool.Description).Distinct()];

        double score = 0;
        foreach (string word in asked)
        {
            if (name.Any(n => LocalText.Alike(n, word))) score += s_generic.Contains(word) ? 1 : 3;
            else if (described.Any(d => LocalText.Alike(d, word))) score += 1;
        }
        foreach (JsonProperty parameter in tool.Parameters.Member("properties"u8) is { ValueKind: JsonValueKind.Object } properties ? properties.EnumerateObject() : default)
            score += ParameterScore(parameter, question, folded, asked, nameWords);
        return score;
    }

    private static double ParameterScore(JsonProperty parameter, string question, string folded, string[] asked, HashSet<string> nameWords)
    {
        HashSet<string> words = Evidence.NameWords(parameter.Name);
        double score = words.Any(w => !s_generic.Contains(w) && asked.Contains(w)) ? 0.5 : 0;
        if (words.Overlaps(["expression", "formula", "equation"]) && Patterns.Arithmetic(question) is not null) score += 5;
        if (words.Overlaps(["url", "uri", "link"]) && Patterns.Url.IsMatch(question)) score += 4;
        bool asksTime = asked.Contains("tim") || asked.Contains("time") || asked.Contains("clock");
        if (words.Overlaps(["timezone", "tz"]) && asksTime && (Patterns.TimeZone.IsMatch(question) || Places.Find(question) is not null)) score += 3;
        if (words.Overlaps(["id", "code", "number"]) && nameWords.Any(n => n.Length > 3 && !s_generic.Contains(n) && folded.Contains(n)) && Patterns.Code.IsMatch(question)) score += 1;
        if (new Evidence(question, null).Allowed(parameter.Value.Member("enum"u8)) is not null) score += 1;
        return score;
    }
}
