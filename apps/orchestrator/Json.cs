using System.Text.Encodings.Web;
using System.Text.Json;

namespace MultiAgent.Orchestrator;

/// <summary>JSON settings of what is written by hand.</summary>
internal static class Json
{
    /// <summary>Answers are mostly text for people: other scripts and quotes stay as they are. The output is never put into HTML unescaped.</summary>
    public static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };
}
