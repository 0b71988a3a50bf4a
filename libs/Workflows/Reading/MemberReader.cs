using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace MultiAgent.Workflows.Reading;

/// <summary>Reads the members of an object, reports what is wrong with them, and at the end those that nobody asked for.</summary>
public partial class MemberReader
{
    private readonly SourceNode _node;
    private readonly List<string> _asked = [];

    internal MemberReader(SourceNode node, string path, ReadingContext context)
    {
        _node = node;
        Path = path;
        Context = context;
    }

    internal ReadingContext Context { get; }

    /// <summary>Where the object stands.</summary>
    public string Path { get; }

    internal int Line => _node.Line;

    internal int Column => _node.Column;

    /// <summary>The names asked for so far.</summary>
    internal IReadOnlyList<string> Asked => _asked;

    /// <summary>The member is there.</summary>
    public bool Has(string name)
    {
        Ask(name);
        return _node.Find(name) is not null;
    }

    /// <summary>Reports something about a member, at its place, or at the object when it is not there.</summary>
    public void Problem(string name, string code, string message) => Context.Add(_node.Find(name)?.Value ?? _node, At(name), code, message);

    /// <summary>The member must not be there.</summary>
    public void Forbid(string name, string message)
    {
        if (Has(name)) Problem(name, ProblemCodes.InvalidValue, message);
    }

    /// <summary>Exactly one of the members must be there.</summary>
    public void ExactlyOne(params string[] names)
    {
        string[] there = [.. names.Where(Has)];
        if (there.Length == 0) Context.Add(_node, Path, ProblemCodes.MissingMember, $"One of {string.Join(", ", names.Select(n => $"'{n}'"))} is required.");
        foreach (string second in there.Skip(1)) Problem(second, ProblemCodes.InvalidValue, $"cannot go with '{there[0]}'.");
    }

    public string? Text(string name, bool required = false, int max = 1000)
    {
        if (Find(name, required, "a string", JsonValueKind.String) is not { } node) return null;
        if (node.Text.Length > max) Context.Add(node, At(name), ProblemCodes.InvalidValue, $"may have {max} characters.");
        return node.Text;
    }

    public IReadOnlyList<string>? Texts(string name, int min, int max)
    {
        if (List(name, required: false, min, max) is not { } list) return null;
        var texts = new List<string>();
        for (int i = 0; i < list.Items.Count; i++)
        {
            if (list.Items[i].Kind == JsonValueKind.String) texts.Add(list.Items[i].Text);
            else Context.Add(list.Items[i], $"{At(name)}[{i}]", ProblemCodes.WrongType, "must be a string.");
        }
        return texts;
    }

    public int? Integer(string name, int min, int max, bool required = false) => (int?)Long(name, min, max, required);

    public long? Long(string name, long min, long max, bool required = false)
    {
        if (Find(name, required, "a whole number", JsonValueKind.Number) is not { } node) return null;
        if (!long.TryParse(node.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)) Context.Add(node, At(name), ProblemCodes.WrongType, "must be a whole number.");
        else if (value < min || value > max) Context.Add(node, At(name), ProblemCodes.InvalidValue, $"must be between {min} and {max}.");
        else return value;
        return null;
    }

    public double? Number(string name, double min, double max, bool required = false)
    {
        if (Find(name, required, "a number", JsonValueKind.Number) is not { } node) return null;
        double value = double.Parse(node.Text, NumberStyles.Float, CultureInfo.InvariantCulture);
        if (value >= min && value <= max) return value;
        Context.Add(node, At(name), ProblemCodes.InvalidValue, $"must be between {min.ToString(CultureInfo.InvariantCulture)} and {max.ToString(CultureInfo.InvariantCulture)}.");
        return null;
    }

    public decimal? Money(string name)
    {
        if (Number(name, 0.000001, 100_000) is null) return null;
        return decimal.Parse(_node.Find(name)!.Value.Text, NumberStyles.Float, CultureInfo.InvariantCulture);
    }

    public TimeSpan? Seconds(string name, double min, double max, bool required = false) => Number(name, min, max, required) is { } seconds ? TimeSpan.FromSeconds(seconds) : null;

    public bool Flag(string name, bool onlyTrue = false)
    {
        if (Find(name, required: false, "true or false", JsonValueKind.True, JsonValueKind.False) is not { } node) return false;
        if (onlyTrue && node.Kind == JsonValueKind.False) Context.Add(node, At(name), ProblemCodes.InvalidValue, "can only be true. Leave it out otherwise.");
        return node.Kind == JsonValueKind.True;
    }

    /// <summary>The value of one of some words; that of the first when the member is not there.</summary>
    public T OneOf<T>(string name, params (string Word, T Value)[] words) => OneOf(name, false, words);

    /// <summary>The name of something outside of the workflow.</summary>
    public string? Name(string name, bool required = false)
    {
        string? value = Text(name, required);
        if (value is not null && !OutsideName().IsMatch(value)) Problem(name, ProblemCodes.InvalidValue, "must be a name of letters, digits, '_', '-' and '.', at most 128.");
        return value;
    }

    /// <summary>An id; empty, with a problem, when it is none.</summary>
    public string Id(string name)
    {
        if (Text(name, required: true) is not { } id) return "";
        if (IsName(id)) return id;
        Problem(name, ProblemCodes.InvalidValue, "must be lower-case letters, digits and underscores, beginning with a letter, at most 64.");
        return "";
    }

    public static bool IsName(string text) => Identifier().IsMatch(text);

    protected T OneOf<T>(string name, bool required, params (string Word, T Value)[] words)
    {
        if (Find(name, required, "a string", JsonValueKind.String) is not { } node) return words[0].Value;
        foreach ((string word, T value) in words) if (word == node.Text) return value;
        Context.Add(node, At(name), ProblemCodes.InvalidValue, words.Length == 1 ? $"must be '{words[0].Word}'." : $"must be one of {string.Join(", ", words.Select(w => w.Word))}.{Suggestion.For(node.Text, words.Select(w => w.Word))}");
        return words[0].Value;
    }

    internal SourceNode? List(string name, bool required, int min, int max)
    {
        if (Find(name, required, "a list", JsonValueKind.Array) is not { } node) return null;
        if (node.Items.Count < min || node.Items.Count > max) Context.Add(node, At(name), ProblemCodes.InvalidValue, max == int.MaxValue ? "must not be empty." : $"must have {min} to {max} entries.");
        return node;
    }

    internal SourceNode? Any(string name, bool required)
    {
        Ask(name);
        SourceNode? node = _node.Find(name)?.Value;
        if (node is null && required) Context.Add(_node, Path, ProblemCodes.MissingMember, $"'{name}' is required.");
        return node;
    }

    internal SourceNode? Find(string name, bool required, string expected, params ReadOnlySpan<JsonValueKind> kinds)
    {
        if (Any(name, required) is not { } node) return null;
        if (kinds.Contains(node.Kind)) return node;
        Context.Add(node, At(name), ProblemCodes.WrongType, node.Kind == JsonValueKind.Null ? $"has no value; {expected} is expected." : $"must be {expected}.");
        return null;
    }

    internal string At(string name) => Path.Length == 0 ? name : $"{Path}.{name}";

    /// <summary>Reports the members that were not asked for.</summary>
    internal void Finish()
    {
        foreach (SourceMember member in _node.Members.Where(m => !_asked.Contains(m.Name)))
            Context.Problems.Add(new WorkflowProblem(member.Line, member.Column, At(member.Name), ProblemCodes.UnknownMember, $"'{Shown(member.Name)}' is not known here.{Suggestion.For(member.Name, _asked)}"));
    }

    internal static string Shown(string text) => text.Length > 60 ? text[..60] + "…" : text;

    private void Ask(string name)
    {
        if (!_asked.Contains(name)) _asked.Add(name);
    }

    [GeneratedRegex("^[a-z][a-z0-9_]{0,63}$")]
    private static partial Regex Identifier();

    [GeneratedRegex("^[A-Za-z0-9_.-]{1,128}$")]
    private static partial Regex OutsideName();
}
