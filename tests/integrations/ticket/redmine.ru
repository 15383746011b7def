# Redmine as Debian installs it, set up for the tests before it takes its first request.
require '/usr/share/redmine/config/environment'

Setting.rest_api_enabled = '1'
everything = %i(view_issues add_issues edit_issues add_issue_notes delete_issues manage_categories)
role = Role.create!(name: 'Desk', permissions: everything, assignable: true)
project = Project.create!(
  name: 'Front desk', identifier: 'desk', is_public: false,
  tracker_ids: Tracker.pluck(:id), enabled_module_names: %w(issue_tracking)
)
bills = Project.create!(
  name: 'Bills', identifier: 'bills', is_public: false,
  tracker_ids: Tracker.where(name: 'Support').pluck(:id), enabled_module_names: %w(issue_tracking)
)
Project.create!(name: 'Elsewhere', identifier: 'elsewhere', is_public: false, enabled_module_names: %w(issue_tracking))
IssueCategory.create!(project: project, name: 'Rental')

users = %w(aftercall agent).to_h do |login|
  user = User.new(firstname: login, lastname: 'Desk', mail: "#{login}@example.net", password: 'not-for-people')
  user.login = login
  user.save!
  [project, bills].each { |one| Member.create!(project: one, user: user, roles: [role]) }
  [login, user.api_key]
end
reader = Role.create!(name: 'Reader', permissions: %i(view_issues add_issues), assignable: false)
user = User.new(firstname: 'reader', lastname: 'Desk', mail: 'reader@example.net', password: 'not-for-people')
user.login = 'reader'
user.save!
Member.create!(project: project, user: user, roles: [reader])
users['reader'] = user.api_key
users['admin'] = User.find_by_login('admin').api_key
File.write(ENV.fetch('AFTERCALL_TEST_KEYS'), users.to_json)

run Rails.application
