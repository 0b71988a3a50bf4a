using System.Globalization;
using System.Text;
using System.Text.Json;
using Fluid;
using Fluid.Ast;
using Fluid.Parser;
using Fluid.Values;

namespace MultiAgent.Workflows.Templates;

/// <summary>
/// Liquid for tenants' templates. They are untrusted: parsing and evaluating are bounded in depth, steps, time and size, and nothing outside of the scope can be
/// reached: no files, no includes, no clock but that of the scope.
/// </summary>
internal static class Liquid
{
    /// <summary>Characters that a text, an intermediate one too, may have.</summary>
    public const int MaxText = 1_000_000;
    private const int MaxItems = 100_000;
    private const int MaxSteps = 10_000;

    private static readonly TimeSpan MaxTime = TimeSpan.FromSeconds(2);
    private static readonly FluidParser Parser = new(new FluidParserOptions { AllowParentheses = true });
    private static readonly TemplateOptions Options = CreateOptions();

    /// <summary>The statements; null, with the first thing that is wrong.</summary>
    public static IReadOnlyList<Statement>? Parse(string source, List<VariableUse> uses, out TemplateError? error)
    {
        error = TemplateBounds.Check(source);
        if (error is not null) return null;
        if (!Parser.TryParse(source, out IFluidTemplate? template, out string? message))
        {
            error = ToError(source, message);
            return null;
        }
        var walk = new TemplateWalk(source);
        walk.VisitTemplate(template);
        error = walk.Error;
        if (error is not null) return null;
        uses.AddRange(walk.Uses);
        return ((FluidTemplate)template).Statements;
    }

    public static TemplateContext Open(WorkflowScope scope)
    {
        var context = new TemplateContext(Options, StringComparer.Ordinal) { Now = () => scope.Now };
        context.AmbientValues[nameof(Liquid)] = TimeProvider.System.GetTimestamp();
        foreach (string name in scope.Locals.Keys) context.SetValue(name, scope.Find(name));
        foreach (string name in (ReadOnlySpan<string>)[ScopeNames.Inputs, ScopeNames.Steps, ScopeNames.Run])
            if (!scope.Locals.ContainsKey(name)) context.SetValue(name, scope.Find(name));
        return context;
    }

    /// <exception cref="WorkflowTemplateException">It could not be evaluated.</exception>
    public static T Run<T>(TemplateOrigin origin, Func<T> evaluate)
    {
        try
        {
            return evaluate();
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or FormatException or OverflowException or DivideByZeroException or ArgumentException or InvalidCastException or JsonException or ParseException or FileNotFoundException)
        {
            // Fluid says only that too many steps were executed, with a hint for its programmer.
            throw new WorkflowTemplateException(origin, e is InvalidOperationException && e.Message.Contains("maximum number of statements", StringComparison.OrdinalIgnoreCase) ? $"the template takes more than {MaxSteps} steps." : e is DivideByZeroException ? "division by zero." : e.Message);
        }
    }

    public static string Render(IReadOnlyList<Statement> statements, WorkflowScope scope)
    {
        using var writer = new BoundedWriter();
        Complete(new FluidTemplate(statements).RenderAsync(writer, NullEncoder.Default, Open(scope)));
        return writer.ToString();
    }

    // Nothing in a template waits for anything, so that its tasks are always done.
    public static T Complete<T>(ValueTask<T> task) => task.IsCompleted ? task.Result : task.AsTask().GetAwaiter().GetResult();

    private static void Complete(ValueTask task)
    {
        if (task.IsCompleted) task.GetAwaiter().GetResult();
        else task.AsTask().GetAwaiter().GetResult();
    }

    private static TemplateOptions CreateOptions()
    {
        var options = new TemplateOptions { MaxSteps = MaxSteps, MaxRecursion = 20, CultureInfo = CultureInfo.InvariantCulture, TimeZone = TimeZoneInfo.Utc, ModelNamesComparer = StringComparer.Ordinal };
        options.Filters.AddFilter("json", static (input, _, context) => new StringValue(ToJson(input, context), encode: false));
        options.Filters.AddFilter("from_json", static (input, _, _) => FromJson(input.ToStringValue()));
        foreach ((string name, FilterDelegate filter) in options.Filters.ToArray()) options.Filters.AddFilter(name, Bounded(name, filter));
        return options;
    }

    // Each filter makes at most a few times of what it is given, but for these two: what they would make is estimated first.
    private static FilterDelegate Bounded(string name, FilterDelegate filter) => (input, arguments, context) =>
    {
        if (TimeProvider.System.GetElapsedTime((long)context.AmbientValues[nameof(Liquid)]) > MaxTime) throw new InvalidDataException($"the template takes more than {MaxTime.TotalSeconds:0} seconds.");
        if (name is "replace" or "join")
        {
            long pieces = name == "join" ? input.Enumerate(context).LongCount() : Occurrences(input.ToStringValue(), arguments.At(0).ToStringValue());
            if (pieces * arguments.At(name == "join" ? 0 : 1).ToStringValue().Length > MaxText) throw TooLong();
            if (name == "join" && input.Enumerate(context).Sum(i => (long)i.ToStringValue().Length) > MaxText) throw TooLong();
        }
        ValueTask<FluidValue> result = filter(input, arguments, context);
        FluidValue value = Complete(result);
        if (value is StringValue text && text.ToStringValue().Length > MaxText) throw TooLong();
        if (value is ArrayValue { Values.Count: > MaxItems }) throw new InvalidDataException($"a list has more than {MaxItems} items.");
        return new ValueTask<FluidValue>(value);
    };

    private static InvalidDataException TooLong() => new($"a text has more than {MaxText} characters.");

    private static long Occurrences(string text, string part)
    {
        if (part.Length == 0) return text.Length + 1;
        long count = 0;
        for (int i = text.IndexOf(part, StringComparison.Ordinal); i >= 0; i = text.IndexOf(part, i + part.Length, StringComparison.Ordinal)) count++;
        return count;
    }

    private static string ToJson(FluidValue value, TemplateContext context)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping })) JsonValues.Write(value, json, context);
        return Encoding.UTF8.GetString(stream.GetBuffer(), 0, (int)stream.Length);
    }

    private static FluidValue FromJson(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 64 });
            return JsonValues.ToFluid(document.RootElement.Clone());
        }
        catch (JsonException)
        {
            throw new InvalidDataException("'from_json' was given a text that is not JSON.");
        }
    }

    // "… at (2:14)": line and column in the template.
    private static TemplateError ToError(string source, string message)
    {
        int at = message.LastIndexOf(" at (", StringComparison.Ordinal);
        string[] parts = at < 0 ? [] : message[(at + 5)..].TrimEnd('\n', '\r').Split(')', ':');
        if (parts.Length < 2 || !int.TryParse(parts[0], out int line) || !int.TryParse(parts[1], out int column)) return new TemplateError($"Not a valid template: {message.Split('\n')[0]}", 0);
        int offset = 0;
        for (int i = 1; i < line && offset >= 0; i++) offset = source.IndexOf('\n', offset) + 1;
        return new TemplateError($"Not a valid template: {message[..at].Split('\n')[0]}.", Math.Min(source.Length, offset + Math.Max(0, column - 1)));
    }

    private sealed class BoundedWriter : StringWriter
    {
        public override void Write(char value)
        {
            Check(1);
            base.Write(value);
        }

        public override void Write(string? value)
        {
            Check(value?.Length ?? 0);
            base.Write(value);
        }

        public override void Write(char[] buffer, int index, int count)
        {
            Check(count);
            base.Write(buffer, index, count);
        }

        public override void Write(ReadOnlySpan<char> buffer)
        {
            Check(buffer.Length);
            base.Write(buffer);
        }

        private void Check(int more)
        {
            if (GetStringBuilder().Length + more > MaxText) throw TooLong();
        }
    }
}
