using System.CommandLine;
using MultiAgent.Maap.Db;
using MultiAgent.Maap.Events;
using MultiAgent.Maap.Workflows;

var root = new RootCommand("maap, the operator's command line of the Multi-AI-Agent Platform. It reads the settings that the services read: NATS_URL, DATABASE_URL, MAAP_DATA_DIR, appsettings.json.");
root.Subcommands.Add(DbCommand.Create());
root.Subcommands.Add(EventsCommand.Create());
root.Subcommands.Add(WorkflowCommand.Create());
return await root.Parse(args).InvokeAsync();
