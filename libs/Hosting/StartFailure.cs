using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Options;
using MultiAgent.Data;

namespace MultiAgent.Hosting;

/// <summary>Turns what stops a start into one line that says what to do.</summary>
internal static class StartFailure
{
    /// <summary>The line, or null when the failure is not one that an operator causes and can mend.</summary>
    public static string? Explain(Exception e) => e switch
    {
        StartupException startup => OneLine(startup.Message),
        OptionsValidationException options => OneLine("The configuration is invalid: " + string.Join(" ", options.Failures)),
        AggregateException { InnerExceptions: [{ } single] } => Explain(single),
        AggregateException several when several.InnerExceptions.All(i => i is OptionsValidationException) =>
            OneLine("The configuration is invalid: " + string.Join(" ", several.InnerExceptions.Cast<OptionsValidationException>().SelectMany(o => o.Failures))),
        AddressInUseException or IOException { InnerException: AddressInUseException } or IOException { InnerException: SocketException { SocketErrorCode: SocketError.AddressAlreadyInUse } } =>
            OneLine($"The address is in use: {e.Message.TrimEnd('.')}. Stop the other program, or choose another port with --urls http://localhost:8081"),
        SocketException { SocketErrorCode: SocketError.AccessDenied } =>
            "Not permitted to listen on that port. Choose one above 1023 with --urls http://localhost:8080",
        SocketException { SocketErrorCode: SocketError.AddressNotAvailable } => "The address in --urls is not one of this machine's.",
        FormatException or InvalidDataException when e.Source?.Contains("Configuration", StringComparison.Ordinal) == true || e.InnerException is System.Text.Json.JsonException or FormatException =>
            OneLine($"The configuration cannot be read: {e.Message} {e.InnerException?.Message}"),
        InvalidOperationException when e.Source?.StartsWith("Microsoft.Extensions.Configuration", StringComparison.Ordinal) == true =>
            OneLine($"The configuration is invalid: {e.Message} {e.InnerException?.Message}"),
        FormatException when e.StackTrace?.Contains("BindingAddress", StringComparison.Ordinal) == true => OneLine($"The value of --urls is invalid: {e.Message}"),
        SqliteException sqlite => OneLine($"The database cannot be opened: {sqlite.Message}"),
        UnauthorizedAccessException => OneLine(e.Message),
        IOException => OneLine(e.Message),
        _ => null,
    };

    private static string OneLine(string text) => string.Join(' ', text.Split((char[])['\r', '\n', ' '], StringSplitOptions.RemoveEmptyEntries));
}
