using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace MultiAgent.Workflows.Reading;

/// <summary>
/// Reads YAML (and so JSON) as a tree of JSON values with places. What YAML has beyond JSON is refused rather than guessed: anchors and aliases (a few lines of
/// them expand to gigabytes), tags, several documents, names that are no strings.
/// </summary>
internal sealed partial class SourceReader
{
    public const int MaxBytes = 256 * 1024;
    private const int MaxDepth = 64;

    private readonly Parser _parser;
    private readonly string[] _lines;
    private readonly List<WorkflowProblem> _problems;

    private SourceReader(string text, List<WorkflowProblem> problems)
    {
        _parser = new Parser(new StringReader(text));
        _lines = text.Split('\n');
        _problems = problems;
    }

    /// <summary>The tree; null, with problems added, when the text is not usable.</summary>
    /// <param name="text">Untrusted.</param>
    /// <param name="problems">Gets what is wrong.</param>
    public static SourceNode? Read(string text, List<WorkflowProblem> problems)
    {
        if (text.Length > MaxBytes || Encoding.UTF8.GetByteCount(text) > MaxBytes)
        {
            problems.Add(new WorkflowProblem(1, 1, "", ProblemCodes.TooLarge, "The document is larger than 256 KB."));
            return null;
        }
        if (TooDeep(text) is { } deep)
        {
            problems.Add(deep);
            return null;
        }
        int before = problems.Count;
        var reader = new SourceReader(text, problems);
        try
        {
            SourceNode? node = reader.Document();
            return problems.Count == before ? node : null;
        }
        catch (YamlException e)
        {
            string message = e.InnerException?.Message ?? e.Message;
            (int line, int column) = reader.Inside(e.Start);
            problems.Add(new WorkflowProblem(line, column, "", ProblemCodes.Syntax, $"Not valid YAML: {message}"));
        }
        catch (SourceException e)
        {
            problems.Add(new WorkflowProblem((int)e.Mark.Line, (int)e.Mark.Column, "", e.Code, e.Message));
        }
        return null;
    }

    // The parser looks ahead through nested flow collections before this class sees the first of them.
    private static WorkflowProblem? TooDeep(string text)
    {
        int run = 0, line = 1, column = 0;
        foreach (char c in text)
        {
            column++;
            if (c is '[' or '{')
            {
                if (++run > MaxDepth) return new WorkflowProblem(line, column, "", ProblemCodes.TooDeep, "The document is nested deeper than 64 levels.");
            }
            else if (c == '\n')
            {
                line++;
                column = 0;
            }
            else if (!char.IsWhiteSpace(c)) run = 0;
        }
        return null;
    }

    // What is missing at the end is reported in a line that is not there.
    private (int Line, int Column) Inside(Mark mark)
    {
        int line = (int)Math.Clamp(mark.Line, 1, _lines.Length);
        return (line, line < mark.Line ? Math.Max(1, _lines[line - 1].Length) : (int)Math.Max(1, mark.Column));
    }

    private SourceNode? Document()
    {
        Expect<StreamStart>();
        if (_parser.Current is StreamEnd)
        {
            _problems.Add(new WorkflowProblem(1, 1, "", ProblemCodes.Syntax, "The document is empty."));
            return null;
        }
        Expect<DocumentStart>();
        SourceNode node = Node(0);
        Expect<DocumentEnd>();
        if (_parser.Current is not StreamEnd) throw new SourceException(_parser.Current!.Start, ProblemCodes.Syntax, "There is a second document. Put each workflow into a file of its own.");
        return node;
    }

    private SourceNode Node(int depth)
    {
        ParsingEvent current = _parser.Current!;
        if (depth > MaxDepth) throw new SourceException(current.Start, ProblemCodes.TooDeep, "The document is nested deeper than 64 levels.");
        if (current is AnchorAlias || current is NodeEvent { Anchor.IsEmpty: false }) throw new SourceException(current.Start, ProblemCodes.AliasNotAllowed, "Anchors and aliases are not supported. Write the value out.");
        if (current is NodeEvent { Tag.IsEmpty: false } tagged && tagged.Tag.Value is not "!") throw new SourceException(current.Start, ProblemCodes.Syntax, $"The tag '{tagged.Tag.Value}' is not supported.");
        return current switch
        {
            Scalar scalar => Take(ScalarNode(scalar)),
            SequenceStart start => Sequence(start, depth),
            MappingStart start => Mapping(start, depth),
            _ => throw new SourceException(current.Start, ProblemCodes.Syntax, "A value is expected here."),
        };
    }

    private SourceNode Sequence(SequenceStart start, int depth)
    {
        var node = new SourceNode { Kind = JsonValueKind.Array, Line = (int)start.Start.Line, Column = (int)start.Start.Column };
        Next();
        while (_parser.Current is not SequenceEnd) node.Items.Add(Node(depth + 1));
        Next();
        return node;
    }

    private SourceNode Mapping(MappingStart start, int depth)
    {
        var node = new SourceNode { Kind = JsonValueKind.Object, Line = (int)start.Start.Line, Column = (int)start.Start.Column };
        var seen = new HashSet<string>(StringComparer.Ordinal);
        Next();
        while (_parser.Current is not MappingEnd)
        {
            ParsingEvent current = _parser.Current!;
            if (current is AnchorAlias) throw new SourceException(current.Start, ProblemCodes.AliasNotAllowed, "Anchors and aliases are not supported. Write the value out.");
            if (current is not Scalar key) throw new SourceException(current.Start, ProblemCodes.Syntax, "The name of a member must be a string.");
            if (key.Value == "<<" && key.Style == ScalarStyle.Plain) throw new SourceException(current.Start, ProblemCodes.AliasNotAllowed, "Merge keys are not supported. Write the members out.");
            Next();
            SourceNode value = Node(depth + 1);
            if (seen.Add(key.Value)) node.Members.Add(new SourceMember(key.Value, value, (int)key.Start.Line, (int)key.Start.Column));
            else _problems.Add(new WorkflowProblem((int)key.Start.Line, (int)key.Start.Column, "", ProblemCodes.DuplicateMember, $"The member '{key.Value}' is there twice."));
        }
        Next();
        return node;
    }

    private SourceNode ScalarNode(Scalar scalar)
    {
        int line = (int)scalar.Start.Line, column = (int)scalar.Start.Column;
        if (scalar.Style == ScalarStyle.Plain && scalar.Tag.IsEmpty)
        {
            JsonValueKind kind = scalar.Value switch
            {
                "" or "~" or "null" or "Null" or "NULL" => JsonValueKind.Null,
                "true" or "True" or "TRUE" => JsonValueKind.True,
                "false" or "False" or "FALSE" => JsonValueKind.False,
                var text when Number().IsMatch(text) => JsonValueKind.Number,
                _ => JsonValueKind.String,
            };
            return new SourceNode { Kind = kind, Line = line, Column = column, Text = scalar.Value, Style = scalar.Start.Line == scalar.End.Line ? TextStyle.OneLine : TextStyle.Folded };
        }
        if (scalar.Style == ScalarStyle.Literal)
        {
            string first = Array.Find(_lines[Math.Min(line, _lines.Length)..], l => l.Trim().Length > 0) ?? "";
            return new SourceNode { Kind = JsonValueKind.String, Line = line, Column = column, Text = scalar.Value, Style = TextStyle.Literal, Indent = first.Length - first.TrimStart(' ').Length + 1 };
        }
        bool oneLine = scalar.Style is ScalarStyle.SingleQuoted or ScalarStyle.DoubleQuoted && scalar.End.Column - scalar.Start.Column == scalar.Value.Length + 2 && scalar.Start.Line == scalar.End.Line;
        // The text begins behind the quote; the node is shown where the quote is.
        return new SourceNode { Kind = JsonValueKind.String, Line = line, Column = oneLine ? column + 1 : column, Text = scalar.Value, Style = oneLine ? TextStyle.OneLine : TextStyle.Folded };
    }

    private SourceNode Take(SourceNode node)
    {
        Next();
        return node;
    }

    private void Expect<T>() where T : ParsingEvent
    {
        if (_parser.Current is null) Next();
        if (_parser.Current is not T) throw new SourceException(_parser.Current?.Start ?? new Mark(0, 1, 1), ProblemCodes.Syntax, "The document is not complete.");
        Next();
    }

    private void Next()
    {
        ParsingEvent? last = _parser.Current;
        try
        {
            if (!_parser.MoveNext()) return;
            while (_parser.Current is Comment && _parser.MoveNext()) { }
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or IndexOutOfRangeException or OverflowException or FormatException)
        {
            // The library's scanner loses its way in some broken texts without saying so.
            throw new SourceException(last?.End ?? new Mark(0, 1, 1), ProblemCodes.Syntax, "Not valid YAML from here on.");
        }
    }

    private sealed class SourceException(Mark mark, string code, string message) : Exception(message)
    {
        public Mark Mark => mark;

        public string Code => code;
    }

    [GeneratedRegex(@"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$")]
    private static partial Regex Number();
}
